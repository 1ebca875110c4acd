"""Evaluation of runs: metrics, intervals, baselines and figures."""
