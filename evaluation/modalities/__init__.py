"""Baselines and figures of each modality."""
