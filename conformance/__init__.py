"""Checks for any keras.optimizers.Optimizer."""
