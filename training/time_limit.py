"""End a training in time, and its learning-rate schedule with it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

from training.pacing import Pace, PacedSchedule, with_paced_schedule

LATE_SHARE = 0.1  # of the time; a note names training that ends still later
MIN_PACE_CHANGE = 0.05  # of the speed of a schedule; smaller changes are ignored
NEWEST_CALL_WEIGHT = 0.1  # in the mean seconds of a step
# Time of a validation example in that of a training example, until it is measured.
VALIDATION_COST = 0.4


class Ending(NamedTuple):
    """Where the time ended a stage of training.

    Attributes:
        stage: stage, from 1.
        epoch: epochs done, over all stages; the last may be a part of one.
        step: steps done in the stage.

    """

    stage: int
    epoch: int
    step: int


class StepCosts:
    """The measured seconds of steps, and of what comes between two epochs.

    Args:
        validation_share: validation examples per training example.

    """

    def __init__(self, validation_share: float) -> None:
        self.validation_share = validation_share
        self.tracing = 0.0  # of the first call, which is no measurement of steps
        self.between_epochs: float | None = None
        self.seconds = self.steps = 0.0
        self.num_calls = 0

    def add_call(self, seconds: float, steps: int) -> None:
        """Measure a call of TensorFlow; newer ones weigh more."""
        self.num_calls += 1
        if self.num_calls == 1:
            self.tracing = seconds
            return
        self.seconds += NEWEST_CALL_WEIGHT * (seconds - self.seconds)
        self.steps += NEWEST_CALL_WEIGHT * (steps - self.steps)

    def affordable_steps(self, seconds: float, steps_per_epoch: int) -> float:
        """Return the steps for which this time is enough, with the validations between them."""
        if not self.steps:
            return float("inf") if seconds > 0 else 0.0
        step = self.seconds / self.steps
        validation = self.between_epochs
        if validation is None:  # its first time is traced too
            validation = VALIDATION_COST * self.validation_share * steps_per_epoch * step
            validation += self.tracing / 2
        return max(0.0, seconds - validation) / (step + validation / steps_per_epoch)


class TimeLimit(keras.callbacks.Callback):
    """Stop training in time, and let the learning-rate schedule end with it.

    If all epochs fit into the time, training is the same as without a limit. Otherwise the
    schedule runs faster, by a speed that is estimated again after every call of TensorFlow. The
    last epoch may be a part of one; it is validated like the others. A stage has at least one
    call, or one iteration of its solver.

    Args:
        minutes: that training may take, on the clock.
        elapsed: the clock, in seconds.
        seconds_after: the part of the time that `App.fit` needs after the epochs.
        validation_share: validation examples per training example.
        record: what `describe` returned, to repeat that training without a clock.

    Attributes:
        stage: stage of training, from 1.
        paces: the speeds so far, of all stages.
        endings: where the time ended a stage.

    """

    def __init__(
        self,
        minutes: float,
        elapsed: Callable[[], float],
        *,
        seconds_after: float = 0.0,
        validation_share: float = 0.0,
        record: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.minutes, self.seconds, self.elapsed = minutes, 60 * minutes - seconds_after, elapsed
        self.validation_share = validation_share
        self.stage, self.step, self.endings = 0, 0, list[Sequence[int]]()
        self.schedule: PacedSchedule | None = None
        self.recorded_endings = None if record is None else record["endings"]
        self.paces = record["paces"] if record else []
        self.costs = StepCosts(validation_share)
        self.epoch, self.num_epochs = 0, 0  # current over all stages; finished in this stage
        self.mark = self.late = 0.0

    @property
    def paces(self) -> list[Pace]:
        """The speeds so far; a checkpoint assigns those of the training that continues."""
        return self._paces

    @paces.setter
    def paces(self, rows: Sequence[Sequence[Any]]) -> None:
        self._paces = [Pace(*row) for row in rows]
        if self.schedule:
            self.schedule.set_paces(pace for pace in self._paces if pace.stage == self.stage)

    def describe(self) -> dict[str, Any]:
        """Return what the time did to the training, for run.json."""
        return {
            "minutes": self.minutes,
            "steps": max(0, self.step),
            "paces": self.paces,
            "endings": self.endings,
        }

    def note(self) -> str:
        """Say for the user where the time ended the training; empty if it did not."""
        if not self.endings:
            return ""
        _, epoch, step = self.endings[-1]
        steps = f" after {step:,} steps" if step else ""
        late = self.late > LATE_SHARE * self.seconds
        remark = f", {self.late:.0f} seconds late: a step with its validation is the least"
        return f"time  --minutes ended training in epoch {epoch}{steps}{remark if late else ''}"

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """Begin a stage, whose optimizer has a schedule of its own."""
        self.stage += 1
        schedule = with_paced_schedule(self.model.optimizer)
        if (
            schedule is not self.schedule
        ):  # the last stage of a blend has the optimizer of the first
            self.schedule = schedule
            self.paces = self._paces
        self.costs = StepCosts(self.validation_share)
        self.step, self.num_epochs = -1, 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Measure the time between two epochs."""
        if self.num_epochs:
            tracing = self.costs.tracing / 2 if self.num_epochs == 1 else 0.0
            self.costs.between_epochs = max(0.0, self.elapsed() - self.mark - tracing)
        if self.step < 0:  # only now: a checkpoint is restored after on_train_begin
            self.step = self._iterations
        self.epoch, self.mark = epoch, self.elapsed()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Change the speed after a call of TensorFlow, or end the stage."""
        per_epoch = self.params["steps"]
        if steps := self._add_call():  # none in a call that a resumed training skips
            self._plan(self._epochs_left * per_epoch + per_epoch - batch - 1, per_epoch, steps)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Change the speed after an iteration of a solver, or end the stage."""
        self.num_epochs += 1
        next_seconds = 0.0
        if self.params.get("replays"):
            # The first iteration may prepare the others.
            next_seconds = self.elapsed() - self.mark if self.num_epochs > 1 else 0.0
            if steps := self._add_call():
                self._plan(self._epochs_left * steps, steps, steps)
            self.mark = self.elapsed()
        if not self.model.stop_training and self._epochs_left:
            self._end_if(self.elapsed() + next_seconds > self.seconds)
        self.late = self.elapsed() - self.seconds

    @property
    def _iterations(self) -> int:
        return int(self.model.optimizer.iterations.numpy())

    @property
    def _epochs_left(self) -> int:
        """Epochs of this stage after the current one."""
        return self.params["epochs"] - self.epoch - 1

    def _add_call(self) -> int:
        """Measure the steps since the last call; return their number."""
        steps, now = self._iterations - self.step, self.elapsed()
        if steps:
            self.costs.add_call(now - self.mark, steps)
        self.step, self.mark = self.step + steps, now
        return steps

    def _plan(self, steps_left: int, steps_per_epoch: int, call_steps: int) -> None:
        """Let the schedule end with the affordable steps; end the stage if there are none."""
        if not steps_left or self.recorded_endings is not None:
            self._end_if(False)
            return
        seconds = self.seconds - self.elapsed()
        affordable = self.costs.affordable_steps(seconds, steps_per_epoch)
        self._end_if(affordable < call_steps / 2)
        if self.schedule and not self.model.stop_training:
            self._change_speed(steps_left, min(steps_left, affordable))

    def _change_speed(self, steps_left: int, steps: float) -> None:
        """Let `steps` steps of training pass the scheduled steps that are left."""
        newest = Pace(self.stage, 0, 0.0, 1.0)
        newest = next((pace for pace in self.paces[::-1] if pace.stage == self.stage), newest)
        scheduled = newest.scheduled_step + (self.step - newest.step) * newest.speed
        speed = max(0.0, self.step + steps_left - scheduled) / steps
        if abs(speed - newest.speed) > MIN_PACE_CHANGE * newest.speed:
            self.paces = [*self.paces, Pace(self.stage, self.step, scheduled, speed)]

    def _end_if(self, no_time: bool) -> None:
        """End the stage if there is no time, or where that of the record ended."""
        ending = Ending(self.stage, self.epoch + 1, self.step)
        recorded = self.recorded_endings
        if no_time if recorded is None else [*ending] in recorded:
            self.model.stop_training = True
            self.endings = [*self.endings, ending]
