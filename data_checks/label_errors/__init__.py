"""Probable label errors, found by probabilities of models that have not seen the example."""
