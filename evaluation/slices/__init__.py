"""Parts of the test examples on which a model is worse than on the rest."""
