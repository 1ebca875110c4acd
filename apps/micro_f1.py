"""Micro F1 of logits during training: all decisions about all classes count the same."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("athanor")
class MicroF1(keras.metrics.Metric):
    """F1 of all (example, class) pairs, where a class with a positive logit is chosen.

    Targets are 0 or 1, [batch, classes]. The finished model has a threshold of its own for each
    class, so that its F1 is higher.
    """

    def __init__(self, name: str = "micro_f1", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.right, self.true, self.chosen = (
            self.add_variable((), initializer="zeros", name=part)
            for part in ("right", "true", "chosen")
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the counts of a batch; examples may have weights [batch]."""
        weights = 1.0 if sample_weight is None else ops.cast(sample_weight, self.dtype)[..., None]
        true = ops.cast(y_true, self.dtype) * weights
        chosen = ops.cast(y_pred > 0, self.dtype)
        for variable, counts in (
            (self.right, true * chosen),
            (self.true, true),
            (self.chosen, chosen * weights),
        ):
            variable.assign_add(ops.sum(counts))

    def result(self) -> Any:
        """Return 2 right / (true + chosen); 0 before the first example."""
        return 2.0 * self.right / ops.maximum(self.true + self.chosen, keras.config.epsilon())
