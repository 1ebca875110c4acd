"""KerasTuner's oracles, whose state is what happened to them.

Everything that an oracle is asked and told stands in a journal. A new one that is
asked and told the same is in the same state, so nothing else has to be kept: whatever
kind of oracle it is, and at whatever instant its process was killed.
"""

import copy
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras_tuner
from keras_tuner.src.engine.trial import Trial

from tuning import tuner_fixes
from tuning.journal import Journal, JournalError, failure

SCORE = "score"
LAUNCHES = 10  # of a trial without an epoch between, before it fails


class Limits(NamedTuple):
    """When a search begins no more trials, and who takes part.

    Attributes:
        trials: so many are begun.
        seconds: no trial begins later, counted over all starts of the search.
        workers: that are expected.
        patience: seconds after which a worker that was not heard of is taken for gone; with
            0, those alone are gone that were not heard of since this start.

    """

    trials: int
    seconds: float | None = None
    workers: int = 1
    patience: float = 0.0


class Report(NamedTuple):
    """Scores of a trial after an epoch."""

    step: int
    scores: dict[str, float]


class Journaled(keras_tuner.Oracle):
    """An oracle with a journal; a worker's question that it asks twice is answered alike."""

    begins_itself = False  # with values of its own for the first trial
    # What an answer without a trial must leave as it was, for no journal tells of it.
    drawn_from: tuple[str, ...] = ("_seed_state",)

    def open(
        self,
        directory: Path,
        limits: Limits,
        default: dict[str, Any] | None,
        changed: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """Read the journal in a directory, and go on from there.

        Args:
            directory: of the search.
            limits: when it ends.
            default: the values of the first trial, where the oracle leaves them open.
            changed: is called after every event, with whether a trial ended.

        Raises:
            JournalError: where the journal is damaged or another oracle's.

        """
        self.path, self.limits, self.default = directory, limits, default
        self.journal = Journal(directory / "journal.jsonl")
        self.changed: Callable[[bool], None] = lambda _: None
        self.mutex = threading.RLock()
        self.max_trials = None
        self.max_consecutive_failed_trials = 10**9  # ours to decide
        self.verbose = 0
        self.reports: dict[str, list[Report]] = {}
        self.seconds: dict[str, list[float]] = {}
        self.launches: dict[str, int] = {}
        self.pruned: set[str] = set()
        self.heard: dict[str, float] = {}
        self.broken = ""
        self.ended, self.lags = False, dict[str, int]()
        self.before, self.start, self.replaying = 0.0, time.monotonic(), True
        for event in self.journal.events():
            self._replay(event)
        self.replaying = False
        self.tuner_ids, self.heard = set[str](), {}
        self.start, self.changed = time.monotonic(), changed

    @property
    def elapsed(self) -> float:
        """Seconds that this search has run, in all its starts."""
        return self.before + time.monotonic() - self.start

    @property
    def over(self) -> bool:
        """Whether no trial begins any more."""
        if self.replaying:
            return False
        late = self.limits.seconds is not None and self.elapsed > self.limits.seconds
        return bool(self.broken) or late or len(self.trials) >= self.limits.trials

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values for a new trial: first those of the app itself."""
        if self.over:
            # Somebody may have to take over what a worker left.
            return {"status": "IDLE" if self._left() else "STOPPED"}
        if self.default and not self.trials and not self.begins_itself:
            return {"status": "RUNNING", "values": dict(self.default)}
        return self.propose(trial_id)

    def propose(self, trial_id: str) -> dict[str, Any]:
        """Values for a trial that is not the first."""
        return super().populate_space(trial_id)

    def create_trial(self, tuner_id: str) -> Trial:
        """A trial for a worker: the one that it has not finished, or a new one."""
        with self.mutex, tuner_fixes.released(self):
            self.heard[tuner_id] = time.monotonic()
            trial = self._unfinished(tuner_id) or self._new(tuner_id)
            if trial.status != "RUNNING":
                return trial
            if self.launches[trial.trial_id] > LAUNCHES:
                self._end(
                    trial, "FAILED", f"its process ended {LAUNCHES} times before an epoch did"
                )
                return self.create_trial(tuner_id)
            return copy.copy(trial)  # what a worker makes of it is not yet ours

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Trial:
        """Scores after an epoch; the trial in return is STOPPED where it need not go on."""
        with self.mutex, tuner_fixes.released(self):
            if self.trials[trial_id].status != "RUNNING":
                return self._stopped(trial_id)  # somebody else took it over
            self.heard[self._holder(trial_id)] = time.monotonic()
            reports = self.reports[trial_id]
            if not reports or step > reports[-1].step:
                scores = {name: float(metrics[name]) for name in metrics}
                self._note("report", self.trials[trial_id], step=int(step), scores=scores)
                self._reported(trial_id, Report(int(step), scores))
            if trial_id in self.pruned or self.broken:
                return self._stopped(trial_id)
            return copy.copy(self.trials[trial_id])

    def get_trial(self, trial_id: str) -> Trial:
        """A trial; by asking, its worker says that it is still there."""
        with self.mutex:
            if self.trials[trial_id].status == "RUNNING":
                self.heard[self._holder(trial_id)] = time.monotonic()
            return super().get_trial(trial_id)

    def end_trial(self, trial: Trial) -> None:
        """A trial is COMPLETED, or FAILED for the reason that lies in its directory."""
        with self.mutex, tuner_fixes.released(self):
            if self.trials[trial.trial_id].status != "RUNNING":
                return
            status, reason = trial.status, ""
            if status != "COMPLETED":
                status, reason = "FAILED", failure(self.path, trial.trial_id)
            elif not self.reports[trial.trial_id]:
                status, reason = "FAILED", "no epoch was finished"
            self._end(self.trials[trial.trial_id], status, reason)

    def score_trial(self, trial: Trial) -> None:
        """That of the model which is kept."""
        last = self.reports[trial.trial_id][-1]
        trial.score, trial.best_step = last.scores[SCORE], last.step

    def enough(self, trial_id: str) -> bool:  # noqa: ARG002
        """Whether a trial need not go on, after its last report."""
        return False

    def finished(self) -> list[Trial]:
        """The completed trials, best first."""
        done = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        sign = -1 if self.objective.direction == "max" else 1
        return sorted(done, key=lambda trial: (sign * trial.score, trial.trial_id))

    @property
    def as_given(self) -> Trial | None:
        """The completed trial with the app's own values; None where the first had others."""
        first = self.trials[min(self.trials)] if self.trials else None
        same = first and first.score is not None and first.hyperparameters.values == self.default
        return first if same else None

    def save(self) -> None:
        """The journal is enough."""

    def _save_trial(self, trial: Trial) -> None:
        """The journal is enough."""

    def waiting(self) -> bool:
        """Whether a worker may still ask."""
        late = time.monotonic() - max(self.limits.patience, 1.0)
        return any(self.heard.get(one, self.start) > late for one in self.tuner_ids)

    def _new(self, tuner_id: str) -> Trial:
        before = {name: copy.deepcopy(getattr(self, name)) for name in self.drawn_from}
        lag = self.lags[f"{len(self.trials):04d}"] = self.limits.workers - 1
        trial = super().create_trial(tuner_id)
        if trial.status == "RUNNING":
            values = trial.hyperparameters.values
            self._note("create", trial, tuner=tuner_id, values=values, lag=lag)
            self._begun(trial.trial_id)
            return trial
        for name, value in before.items():
            setattr(self, name, value)
        if trial.status == "STOPPED" and self.limits.patience and self.ongoing_trials:
            trial.status = "IDLE"  # it may have to take over what another one leaves
            self.tuner_ids.add(tuner_id)
        self.ended = self.ended or trial.status == "STOPPED"
        return trial

    def _unfinished(self, tuner_id: str) -> Trial | None:
        if tuner_id in self.ongoing_trials:
            trial = self.ongoing_trials[tuner_id]
        elif left := self._left():
            trial = self.ongoing_trials[min(left)]
        else:
            return None
        self._note("launch", trial, tuner=tuner_id)
        self._launched(trial.trial_id, tuner_id)
        return trial

    def _left(self) -> set[str]:
        """Workers that have a trial and are gone."""
        if not self.limits.patience:
            return self.ongoing_trials.keys() - self.heard.keys()
        late = time.monotonic() - self.limits.patience
        return {one for one in self.ongoing_trials if self.heard.get(one, self.start) < late}

    def _stopped(self, trial_id: str) -> Trial:
        answer = copy.copy(self.trials[trial_id])
        answer.status = "STOPPED"
        return answer

    def _holder(self, trial_id: str) -> str:
        return next(k for k, trial in self.ongoing_trials.items() if trial.trial_id == trial_id)

    def _note(self, kind: str, trial: Trial, **told: Any) -> None:
        seconds = round(self.elapsed, 3)
        self.journal.append({"event": kind, "trial": trial.trial_id, "seconds": seconds, **told})
        self.seconds.setdefault(trial.trial_id, []).append(seconds)

    def _begun(self, trial_id: str) -> None:
        self.reports[trial_id], self.launches[trial_id] = [], 1
        self.changed(False)

    def _launched(self, trial_id: str, tuner_id: str) -> None:
        self.ongoing_trials[tuner_id] = self.ongoing_trials.pop(self._holder(trial_id))
        self.launches[trial_id] += 1

    def _reported(self, trial_id: str, report: Report) -> None:
        self.reports[trial_id].append(report)
        self.launches[trial_id] = 0
        super().update_trial(trial_id, report.scores, report.step)
        if self.enough(trial_id):
            self.pruned.add(trial_id)
        self.changed(False)

    def _end(self, trial: Trial, status: str, reason: str) -> None:
        self._note("end", trial, status=status, reason=reason)
        self._ended(trial, status, reason)

    def _ended(self, trial: Trial, status: str, reason: str) -> None:
        told = copy.copy(trial)
        told.status, told.message = status, reason
        super().end_trial(told)
        if status == "FAILED" and trial.trial_id == min(self.trials):
            self.broken = reason
        self.changed(True)

    def _replay(self, event: dict[str, Any]) -> None:
        trial_id, self.before = event["trial"], event["seconds"]
        self.seconds.setdefault(trial_id, []).append(event["seconds"])
        match event["event"]:
            case "create":
                self.lags[trial_id], self.told = event["lag"], event["values"]
                made = super().create_trial(event["tuner"])
                if (made.trial_id, made.hyperparameters.values) != (trial_id, event["values"]):
                    raise JournalError(
                        f"Received {self.journal.path}, whose trial {trial_id} has the values "
                        f"{event['values']}; expected {made.hyperparameters.values}, which this "
                        "version proposes. Choose another --run-dir."
                    )
                self._begun(trial_id)
            case "launch":
                self._launched(trial_id, event["tuner"])
            case "report":
                self._reported(trial_id, Report(event["step"], event["scores"]))
            case "end":
                self._ended(self.trials[trial_id], event["status"], event["reason"])
