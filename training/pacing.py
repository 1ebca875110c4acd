"""Let a learning-rate schedule run faster than the steps of training, at speeds that change."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from optimizers.wrapper import Wrapper

INITIAL_PACE = (0.0, 0.0, 1.0)  # step, scheduled step, speed


class Pace(NamedTuple):
    """The speed of a schedule from a step on.

    Attributes:
        stage: stage of training, from 1.
        step: first step with this speed, counted in its stage.
        scheduled_step: step of the schedule at `step`.
        speed: steps of the schedule in a step of training.

    """

    stage: int
    step: int
    scheduled_step: float
    speed: float


class PacedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule, whose steps pass at speeds that change during training.

    At first one step of training is one step of the schedule.
    """

    def __init__(self, schedule: Any) -> None:
        super().__init__()
        self.schedule = schedule
        self.paces = tf.Variable([INITIAL_PACE], False, dtype="float64", shape=[None, 3])

    def set_paces(self, paces: Iterable[Pace]) -> None:
        """Set the speeds, in the order of their steps."""
        self.paces.assign([INITIAL_PACE, *(tuple(map(float, pace[1:])) for pace in paces)])

    def scheduled_step(self, step: Any) -> Any:
        """Return the step of the other schedule at a step of training, float64."""
        paces, step = tf.convert_to_tensor(self.paces), tf.cast(step, "float64")
        newest = tf.reduce_sum(tf.cast(paces[:, 0] <= step, "int32")) - 1
        first, scheduled, speed = tf.unstack(paces[newest], num=3)
        return scheduled + (step - first) * speed

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step of training, counted from 0."""
        return self.schedule(tf.cast(self.scheduled_step(step), "float32"))


def with_paced_schedule(optimizer: Any) -> PacedSchedule | None:
    """Let an optimizer's schedule run at changing speeds, and return it.

    Returns None for a constant learning rate. Call it before the first step is traced.
    """
    schedule = optimizer._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return None
    if not isinstance(schedule, PacedSchedule):
        schedule = PacedSchedule(schedule)
    optimizer._learning_rate = schedule
    while isinstance(optimizer, Wrapper):  # some read the learning rate themselves
        optimizer = optimizer.inner
        optimizer._learning_rate = schedule
    return schedule
