"""The learning-rate schedule of a run, which depends on the optimizer."""

from typing import Any

import keras

import optimizers

WARMUP_FRACTION = 0.2  # of the steps of a run
WARMUP_START = 0.1  # the first learning rate, as a fraction of the peak


class ScheduleError(ValueError):
    """Raised for a schedule that the optimizer does not allow."""

    exit_status = 2


def default_schedule(name: str) -> str:
    """Return the name of the schedule that suits an optimizer."""
    if optimizers.is_learning_rate_free(name):
        return "constant"
    return "warmup" if optimizers.is_schedule_free(name) else "cosine"


def make_schedule(name: str, schedule: str, peak: float, steps: int) -> Any:
    """Make the learning rate of a run of `steps` steps: a float or a Keras schedule.

    `cosine` warms up and decays to zero; `warmup` warms up and stays at the peak; `constant` is the
    peak.
    Prodigy estimates a distance from its steps and would overestimate it after a warmup, so its
    cosine has none (Mishchenko and Defazio, ICML 2024, recommend no schedule, or this one).
    ScheduleFree replaces a schedule: it allows only a warmup (Defazio et al., NeurIPS 2024).

    Raises ScheduleError for `cosine` with ScheduleFree.
    """
    schedule = default_schedule(name) if schedule == "auto" else schedule
    if schedule == "constant":
        return peak
    if schedule == "cosine" and optimizers.is_schedule_free(name):
        raise ScheduleError(
            f"Received --schedule cosine with --optimizer {name}, which averages weights in place "
            "of a decaying learning rate; expected auto, warmup or constant. Leave it out."
        )
    warmup = 0 if optimizers.is_learning_rate_free(name) else max(1, round(WARMUP_FRACTION * steps))
    if schedule == "warmup":
        return keras.optimizers.schedules.PolynomialDecay(WARMUP_START * peak, max(1, warmup), peak)
    decay = {"decay_steps": max(1, steps - warmup)}
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(peak, **decay)
    return keras.optimizers.schedules.CosineDecay(
        WARMUP_START * peak, warmup_target=peak, warmup_steps=warmup, **decay
    )
