"""Metrics, intervals and figures of each task."""
