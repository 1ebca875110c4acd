"""The course of the learning rate over a run, as each optimizer allows it."""

from typing import Any

import keras

import optimizers

WARM_UP = 0.2  # of the steps of a run


class CourseError(ValueError):
    """A course that an optimizer does not allow: what was received, what was expected."""

    exit_status = 2


def automatic(name: str) -> str:
    """The course that suits the optimizer of a name."""
    if optimizers.is_tuning_free(name):
        return "constant"
    return "warmup" if optimizers.is_schedule_free(name) else "cosine"


def course(name: str, schedule: str, peak: float, steps: int) -> Any:
    """The learning rate over a run of `steps` steps: a float or a Keras schedule.

    cosine warms up and falls to zero; warmup warms up and stays; constant is the peak. Prodigy
    estimates a distance from its steps and would overestimate it after a warm-up, so its cosine
    has none (Mishchenko and Defazio, ICML 2024, recommend no schedule, or that one). ScheduleFree
    takes the place of a schedule: it allows a warm-up alone (Defazio et al., NeurIPS 2024).

    Raises CourseError for a cosine with ScheduleFree.
    """
    schedule = automatic(name) if schedule == "auto" else schedule
    if schedule == "constant":
        return peak
    if schedule == "cosine" and optimizers.is_schedule_free(name):
        raise CourseError(
            f"Received --schedule cosine with --optimizer {name}, whose average of the weights "
            "takes the place of a falling rate; expected auto, warmup or constant. Leave it out."
        )
    warm_up = 0 if optimizers.is_tuning_free(name) else max(1, round(WARM_UP * steps))
    if schedule == "warmup":
        return keras.optimizers.schedules.PolynomialDecay(0.1 * peak, max(1, warm_up), peak)
    falling = {"decay_steps": max(1, steps - warm_up)}
    if not warm_up:
        return keras.optimizers.schedules.CosineDecay(peak, **falling)
    return keras.optimizers.schedules.CosineDecay(
        0.1 * peak, warmup_target=peak, warmup_steps=warm_up, **falling
    )
