"""Checks of data before training: errors, leaks, duplicates, shifts."""
