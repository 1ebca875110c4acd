"""A learning rate per layer, as multiples of the global one."""

import re
from collections.abc import Mapping
from typing import Any

import keras

from optimizers.rule import require_in_range
from optimizers.wrapper import Wrapper

DECAY_ATTRIBUTES = ("weight_decay", "adam_weight_decay")  # Muon has both
MAX_NAMED_PATHS = 5


@keras.saving.register_keras_serializable("athanor")
class LayerwiseLearningRate(Wrapper):
    """Wrapper that multiplies the learning rate of chosen variables.

        w <- w - multiplier(w) eta step(g)

    Scales the update and the weight decay. (Adam and its variants undo a scaled gradient.)
    Choose it for fine-tuning: pre-trained layers should move more slowly than a new head.
    Stores no arrays per variable of its own.

        LayerwiseLearningRate("adam", {"block_15": 0.3, "backbone": 0.1})

    Args:
        inner: A new optimizer of this package or of Keras that updates variable by variable.
        multipliers: Factors of the learning rate, by regular expression. The first expression
            that matches part of a variable's path (re.search) counts; other variables have 1.
        name: Name of the optimizer.

    Raises:
        ValueError: If a multiplier is negative or not finite; at build, if an expression
            matches no variable.

    References:
        Howard and Ruder, Universal Language Model Fine-tuning for Text Classification,
        ACL 2018, section 3.2 (discriminative fine-tuning).

    """

    def __init__(
        self, inner: Any, multipliers: Mapping[str, float], name: str | None = None
    ) -> None:
        for pattern, multiplier in multipliers.items():
            require_in_range(f"multipliers[{pattern!r}]", multiplier)
        super().__init__(inner, {}, name)
        self.multipliers = dict(multipliers)

    def build(self, variables: list[Any]) -> None:
        """Create the slots and look up the multiplier of each variable."""
        if self.built:
            return
        for pattern in self.multipliers:
            if not any(re.search(pattern, variable.path) for variable in variables):
                paths = ", ".join(variable.path for variable in variables[:MAX_NAMED_PATHS])
                raise ValueError(
                    f"Received the multiplier of {pattern!r}, which matches none of "
                    f"{len(variables)} variables; expected part of a path, such as of {paths}."
                )
        super().build(variables)
        self._multipliers = [self._multiplier(variable.path) for variable in variables]
        inner = self.innermost
        decays = {name: getattr(inner, name, None) for name in DECAY_ATTRIBUTES}
        self._decays = {name: value for name, value in decays.items() if value}

    def _multiplier(self, path: str) -> float:
        matches = (value for pattern, value in self.multipliers.items() if re.search(pattern, path))
        return next(matches, 1.0)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply the inner step with the scaled learning rate."""
        multiplier = self._multipliers[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * multiplier)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Apply the inner weight decay, scaled per variable."""
        # Replicas take turns within the loop: the decays that each sets must be the same.
        for variable in variables:
            self._scale_decays(self._multipliers[self._get_variable_index(variable)])
            super()._apply_weight_decay([variable])
        self._scale_decays(1.0)

    def _scale_decays(self, multiplier: float) -> None:
        for name, decay in self._decays.items():
            setattr(self.innermost, name, decay * multiplier)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"multipliers": dict(self.multipliers)}
