"""Learning-rate schedules that Keras lacks."""

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("athanor")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """One-cycle policy: a rise to the peak, then a fall, both along half a cosine.

        peak / initial_divisor -> peak                               in the first `warmup_fraction`
        peak -> peak / initial_divisor / final_divisor               in the other steps
        constant                                                     after `total_steps`

    Choose it for runs of known length, with the largest peak at which training is stable.

    Args:
        peak: Largest learning rate.
        total_steps: Steps of the whole run.
        warmup_fraction: Fraction of the steps before the peak; 0.3 as in PyTorch.
        initial_divisor: Ratio of the peak to the first learning rate; 25 as in PyTorch.
        final_divisor: Ratio of the first learning rate to the last; 10,000 as in PyTorch.

    References:
        Smith and Topin, Super-Convergence: Very Fast Training of Neural Networks
        Using Large Learning Rates, 2018.

    """

    def __init__(
        self,
        peak: float,
        total_steps: int,
        warmup_fraction: float = 0.3,
        initial_divisor: float = 25.0,
        final_divisor: float = 1e4,
    ) -> None:
        _require(peak >= 0 and math.isfinite(peak), "peak", peak, "a finite number from 0")
        _require(total_steps > 0, "total_steps", total_steps, "a number above 0")
        fraction = warmup_fraction
        _require(0 <= fraction <= 1, "warmup_fraction", fraction, "a number from 0 to 1")
        for name, divisor in (("initial", initial_divisor), ("final", final_divisor)):
            _require(divisor >= 1, f"{name}_divisor", divisor, "a number from 1")
        super().__init__()
        self.peak, self.total_steps, self.warmup_fraction = peak, total_steps, warmup_fraction
        self.initial_divisor, self.final_divisor = initial_divisor, final_divisor

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, counted from 0; float32."""
        done = ops.cast(step, "float32")
        warmup = self.warmup_fraction * self.total_steps
        decay = self.total_steps - warmup
        first = self.peak / self.initial_divisor
        last = self.peak / self.initial_divisor / self.final_divisor
        rising = _interpolate_cosine(first, self.peak, done / max(warmup, 1e-9))
        falling = _interpolate_cosine(self.peak, last, (done - warmup) / max(decay, 1e-9))
        return ops.where(done < warmup, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        names = ("peak", "total_steps", "warmup_fraction", "initial_divisor", "final_divisor")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("athanor")
class WarmupStableDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warmup, a long constant phase, and a short decay to zero.

        peak (t + 1) / warmup_steps            in the first `warmup_steps`
        peak                                   in the constant phase
        peak (1 - sqrt(fraction done))         in the last `decay_steps`

    Choose it if the length of a run is open: any step of the constant phase can be
    continued, or finished by a decay.

    Args:
        peak: Largest learning rate.
        total_steps: Steps of the whole run.
        warmup_steps: Steps of the linear rise.
        decay_steps: Steps of the decay; the papers take 10 to 20 % of all.

    References:
        Hu et al., MiniCPM, 2024, section 4 (the name and the phases);
        Haegele et al., Scaling Laws and Compute-Optimal Training Beyond Fixed
        Training Durations, NeurIPS 2024, section 3 (the square root).

    """

    def __init__(self, peak: float, total_steps: int, warmup_steps: int, decay_steps: int) -> None:
        _require(peak >= 0 and math.isfinite(peak), "peak", peak, "a finite number from 0")
        fits = warmup_steps >= 0 <= decay_steps and warmup_steps + decay_steps <= total_steps > 0
        names = "total_steps, warmup_steps, decay_steps"
        expected = "numbers from 0, warmup_steps + decay_steps at most total_steps"
        _require(fits, names, (total_steps, warmup_steps, decay_steps), expected)
        super().__init__()
        self.peak, self.total_steps = peak, total_steps
        self.warmup_steps, self.decay_steps = warmup_steps, decay_steps

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, counted from 0; float32."""
        done = ops.cast(step, "float32")
        rise = ops.minimum((done + 1) / max(self.warmup_steps, 1), 1.0)
        fraction = (done - (self.total_steps - self.decay_steps)) / max(self.decay_steps, 1)
        return self.peak * rise * (1 - ops.sqrt(ops.clip(fraction, 0.0, 1.0)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        names = ("peak", "total_steps", "warmup_steps", "decay_steps")
        return {name: getattr(self, name) for name in names}


def _interpolate_cosine(first: float, last: float, fraction: Any) -> Any:
    return last + (first - last) * (1 + ops.cos(math.pi * ops.clip(fraction, 0.0, 1.0))) / 2


def _require(holds: bool, name: str, value: Any, expected: str) -> None:
    if not holds:
        raise ValueError(f"Received {name}={value!r}; expected {expected}.")
