"""Whether an optimizer keeps its promises: checks for any keras.optimizers.Optimizer."""
