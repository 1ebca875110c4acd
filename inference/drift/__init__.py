"""Drift: how inputs differ from the training examples."""
