"""Courses of the learning rate that Keras lacks."""

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("athanor")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """One rise to the peak and one fall, both along half a cosine.

        from peak / start to peak in the first `rise` of the steps,
        from there to peak / start / end in the others; then constant.

    Choose it for runs of known length, with a peak as large as training stands.

    Args:
        peak: the largest rate.
        steps: of the whole run.
        rise: share of the steps before the peak; 0.3, as in PyTorch.
        start: the peak is so many times the first rate; 25, as there.
        end: the first rate is so many times the last; 10,000, as there.

    References:
        Smith and Topin, Super-Convergence: Very Fast Training of Neural Networks
        Using Large Learning Rates, 2018.

    """

    def __init__(
        self, peak: float, steps: int, rise: float = 0.3, start: float = 25.0, end: float = 1e4
    ) -> None:
        _require(peak >= 0 and math.isfinite(peak), "peak", peak, "a finite number from 0")
        _require(steps > 0, "steps", steps, "a number above 0")
        _require(0 <= rise <= 1, "rise", rise, "a share from 0 to 1")
        _require(start >= 1 and end >= 1, "start, end", (start, end), "numbers from 1")
        super().__init__()
        self.peak, self.steps, self.rise, self.start, self.end = peak, steps, rise, start, end

    def __call__(self, step: Any) -> Any:
        """The rate of a step, from 0; float32."""
        done = ops.cast(step, "float32")
        top = self.rise * self.steps
        first, last = self.peak / self.start, self.peak / self.start / self.end
        rising = _along_cosine(first, self.peak, done / max(top, 1e-9))
        falling = _along_cosine(self.peak, last, (done - top) / max(self.steps - top, 1e-9))
        return ops.where(done < top, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return {name: getattr(self, name) for name in ("peak", "steps", "rise", "start", "end")}


@keras.saving.register_keras_serializable("athanor")
class WarmupStableDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A straight rise, a long constant stretch, and a short fall to zero.

        peak (t + 1) / warmup           in the first `warmup` steps,
        peak                            in the middle,
        peak (1 - sqrt(share done))     in the last `decay` steps.

    Choose it where the length of a run is open: any point of the constant stretch
    can be continued, or finished by a decay.

    Args:
        peak: the largest rate.
        steps: of the whole run.
        warmup: steps of the rise.
        decay: steps of the fall; a tenth to a fifth of all, by the papers.

    References:
        Hu et al., MiniCPM, 2024, section 4 (the name and the stretches);
        Haegele et al., Scaling Laws and Compute-Optimal Training Beyond Fixed
        Training Durations, NeurIPS 2024, section 3 (the square root).

    """

    def __init__(self, peak: float, steps: int, warmup: int, decay: int) -> None:
        _require(peak >= 0 and math.isfinite(peak), "peak", peak, "a finite number from 0")
        fits = warmup >= 0 <= decay and warmup + decay <= steps > 0
        expected = "warmup + decay within the steps"
        _require(fits, "steps, warmup, decay", (steps, warmup, decay), expected)
        super().__init__()
        self.peak, self.steps, self.warmup, self.decay = peak, steps, warmup, decay

    def __call__(self, step: Any) -> Any:
        """The rate of a step, from 0; float32."""
        done = ops.cast(step, "float32")
        rise = ops.minimum((done + 1) / max(self.warmup, 1), 1.0)
        share = (done - (self.steps - self.decay)) / max(self.decay, 1)
        return self.peak * rise * (1 - ops.sqrt(ops.clip(share, 0.0, 1.0)))

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return {name: getattr(self, name) for name in ("peak", "steps", "warmup", "decay")}


def _along_cosine(first: float, last: float, share: Any) -> Any:
    return last + (first - last) * (1 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0))) / 2


def _require(holds: bool, name: str, value: Any, expected: str) -> None:
    if not holds:
        raise ValueError(f"Received {name}={value!r}; expected {expected}.")
