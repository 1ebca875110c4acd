"""A learning rate for each layer, as shares of one."""

import re
from collections.abc import Mapping
from typing import Any

import keras

from optimizers.rule import require
from optimizers.wrapper import Wrapper

DECAYS = ("weight_decay", "adam_weight_decay")  # Muon has both


@keras.saving.register_keras_serializable("athanor")
class LayerwiseLearningRate(Wrapper):
    """Any optimizer, with variables that learn at shares of its learning rate.

        w <- w - share(w) eta step(g)

    The update is scaled, not the gradient, which Adam and its kin would scale back; weight decay
    is scaled with it. Choose it to fine-tune: what was learned before should move
    more slowly than a new head. Keeps no arrays a
    variable beside the inner optimizer's.

        LayerwiseLearningRate("adam", {"block_15": 0.3, "backbone": 0.1})

    Args:
        inner: a new optimizer; any of ours or of Keras's that updates variable by
            variable.
        shares: of variables whose path has a match of a regular expression (re.search); the first
            that matches counts, and others learn at the whole rate.
        name: of the optimizer.

    Raises:
        ValueError: for shares that are no finite numbers from 0; when it is built, for an
            expression that matches no variable.

    References:
        Howard and Ruder, Universal Language Model Fine-tuning for Text Classification,
        ACL 2018, section 3.2 (discriminative fine-tuning).

    """

    def __init__(self, inner: Any, shares: Mapping[str, float], name: str | None = None) -> None:
        for pattern, share in shares.items():
            require(f"shares[{pattern!r}]", share)
        super().__init__(inner, {}, name)
        self.shares = dict(shares)

    def build(self, variables: list[Any]) -> None:
        """The share of each variable."""
        if self.built:
            return
        for pattern in self.shares:
            if not any(re.search(pattern, one.path) for one in variables):
                paths = ", ".join(one.path for one in variables[:5])
                raise ValueError(
                    f"Received the share of {pattern!r}, which matches none of "
                    f"{len(variables)} variables; expected part of a path, such as of {paths}."
                )
        super().build(variables)
        self._shares = [self._share(variable.path) for variable in variables]
        inner = self.innermost
        self._decays = {name: getattr(inner, name) for name in DECAYS if getattr(inner, name, None)}

    def _share(self, path: str) -> float:
        found = (share for pattern, share in self.shares.items() if re.search(pattern, path))
        return next(found, 1.0)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """The inner step, of the variable's own size."""
        share = self._shares[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * share)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """As the inner optimizer's, of the variable's own size."""
        # Replicas take turns within the loop: the decays that each sets must be the same.
        for variable in variables:
            self._scale_decays(self._shares[self._get_variable_index(variable)])
            super()._apply_weight_decay([variable])
        self._scale_decays(1.0)

    def _scale_decays(self, share: float) -> None:
        for name, whole in self._decays.items():
            setattr(self.innermost, name, whole * share)

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {"shares": dict(self.shares)}
