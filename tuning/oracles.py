"""KerasTuner's oracles with a journal of events.

Every call that changes an oracle is journaled; replaying the journal restores its state.
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
from tuning.journal import Journal, JournalError, failure_reason
from tuning.limits import Limits

SCORE = "score"
MAX_LAUNCHES = 10  # of a trial, without a finished epoch between, before it fails
MIN_WORKER_TIMEOUT_SECONDS = 1.0
OnChange = Callable[[bool], None]  # takes whether a trial ended


class Report(NamedTuple):
    """Scores of a trial after `step` epochs."""

    step: int
    scores: dict[str, float]


class JournaledOracle(keras_tuner.Oracle):
    """An oracle with a journal; a repeated call of a worker gets the same answer."""

    proposes_first_trial = False  # otherwise the first trial has the app's own values
    # Restored after a call that gave no trial, since the journal does not record such a call.
    proposal_state: tuple[str, ...] = ("_seed_state",)

    def open(
        self,
        directory: Path,
        limits: Limits,
        default: dict[str, Any] | None,
        on_change: OnChange = lambda _: None,
    ) -> None:
        """Read the journal in a directory, and continue from there.

        Args:
            directory: of the search.
            limits: of the search.
            default: the values of the first trial, unless the oracle proposes its own.
            on_change: called after every event with whether a trial ended.

        Raises:
            JournalError: the journal is damaged, or belongs to another oracle.

        """
        self.path, self.limits, self.default = directory, limits, default
        self.journal = Journal(directory / "journal.jsonl")
        self.on_change: OnChange = lambda _: None
        self.mutex = threading.RLock()
        self.max_trials = None
        self.max_consecutive_failed_trials = 10**9  # a failed trial does not stop a search
        self.verbose = 0
        self.reports: dict[str, list[Report]] = {}
        self.seconds: dict[str, list[float]] = {}
        self.launches: dict[str, int] = {}
        self.pruned: set[str] = set()
        self.last_contact: dict[str, float] = {}
        self.first_trial_error = ""
        self.exhausted, self.lags = False, dict[str, int]()
        self.seconds_before, self.started, self.replaying = 0.0, time.monotonic(), True
        for event in self.journal.events():
            self._replay(event)
        self.replaying = False
        self.tuner_ids, self.last_contact = set[str](), {}
        self.started, self.on_change = time.monotonic(), on_change

    @property
    def elapsed(self) -> float:
        """Seconds that this search has run, over all its starts."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def limits_reached(self) -> bool:
        """Whether no further trial may begin."""
        if self.replaying:
            return False
        late = self.limits.seconds is not None and self.elapsed > self.limits.seconds
        return bool(self.first_trial_error) or late or len(self.trials) >= self.limits.trials

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return values for a new trial; the first one gets the app's own."""
        if self.limits_reached:
            # This worker may have to take over the trial of a lost one.
            return {"status": "IDLE" if self._lost_workers() else "STOPPED"}
        if self.default and not self.trials and not self.proposes_first_trial:
            return {"status": "RUNNING", "values": dict(self.default)}
        return self.propose(trial_id)

    def propose(self, trial_id: str) -> dict[str, Any]:
        """Return values for a trial after the first."""
        return super().populate_space(trial_id)

    def create_trial(self, tuner_id: str) -> Trial:
        """Return a trial for a worker: its unfinished one, that of a lost worker, or a new one."""
        with self.mutex, tuner_fixes.released(self):
            self.last_contact[tuner_id] = time.monotonic()
            trial = self._resume_trial(tuner_id) or self._start_trial(tuner_id)
            if trial.status != "RUNNING":
                return trial
            if self.launches[trial.trial_id] > MAX_LAUNCHES:
                self._end(
                    trial, "FAILED", f"its process ended {MAX_LAUNCHES} times before an epoch did"
                )
                return self.create_trial(tuner_id)
            return copy.copy(trial)  # A change that the worker makes has no effect here.

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Trial:
        """Record scores after an epoch; return the trial, STOPPED if it should end."""
        with self.mutex, tuner_fixes.released(self):
            if self.trials[trial_id].status != "RUNNING":
                return self._copy_as_stopped(trial_id)  # another worker took it over
            self.last_contact[self._worker_of(trial_id)] = time.monotonic()
            reports = self.reports[trial_id]
            if not reports or step > reports[-1].step:
                scores = {name: float(metrics[name]) for name in metrics}
                self._record("report", self.trials[trial_id], step=int(step), scores=scores)
                self._apply_report(trial_id, Report(int(step), scores))
            if trial_id in self.pruned or self.first_trial_error:
                return self._copy_as_stopped(trial_id)
            return copy.copy(self.trials[trial_id])

    def get_trial(self, trial_id: str) -> Trial:
        """Return a trial; the call is also the heartbeat of its worker."""
        with self.mutex:
            if self.trials[trial_id].status == "RUNNING":
                self.last_contact[self._worker_of(trial_id)] = time.monotonic()
            return super().get_trial(trial_id)

    def end_trial(self, trial: Trial) -> None:
        """End a trial as COMPLETED, or as FAILED with the reason in its directory."""
        with self.mutex, tuner_fixes.released(self):
            if self.trials[trial.trial_id].status != "RUNNING":
                return
            status, reason = trial.status, ""
            if status != "COMPLETED":
                status, reason = "FAILED", failure_reason(self.path, trial.trial_id)
            elif not self.reports[trial.trial_id]:
                status, reason = "FAILED", "no epoch was finished"
            self._end(self.trials[trial.trial_id], status, reason)

    def score_trial(self, trial: Trial) -> None:
        """Set the score of a trial: that of its last report, which belongs to its best model."""
        last = self.reports[trial.trial_id][-1]
        trial.score, trial.best_step = last.scores[SCORE], last.step

    def should_stop(self, trial_id: str) -> bool:  # noqa: ARG002
        """Whether a trial should end after its last report."""
        return False

    def finished(self) -> list[Trial]:
        """Return the completed trials, best first."""
        completed = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        sign = -1 if self.objective.direction == "max" else 1
        return sorted(completed, key=lambda trial: (sign * trial.score, trial.trial_id))

    @property
    def default_trial(self) -> Trial | None:
        """The first trial if it completed with the app's own values, else None."""
        first = self.trials[min(self.trials)] if self.trials else None
        same = first and first.score is not None and first.hyperparameters.values == self.default
        return first if same else None

    def save(self) -> None:
        """Do nothing: the journal holds the state."""

    def _save_trial(self, trial: Trial) -> None:
        pass

    def awaits_workers(self) -> bool:
        """Whether a worker has called recently and may call again."""
        timeout = max(self.limits.worker_timeout, MIN_WORKER_TIMEOUT_SECONDS)
        return any(not self._is_silent(tuner_id, timeout) for tuner_id in self.tuner_ids)

    def _is_silent(self, tuner_id: str, timeout: float) -> bool:
        """Whether a worker has not called for `timeout` seconds."""
        last = self.last_contact.get(tuner_id, self.started)
        return time.monotonic() - last >= timeout

    def _start_trial(self, tuner_id: str) -> Trial:
        """Return a new trial; without one its status is IDLE or STOPPED."""
        state = {name: copy.deepcopy(getattr(self, name)) for name in self.proposal_state}
        lag = self.lags[f"{len(self.trials):04d}"] = self.limits.workers - 1
        trial = super().create_trial(tuner_id)
        if trial.status == "RUNNING":
            values = trial.hyperparameters.values
            self._record("create", trial, tuner=tuner_id, values=values, lag=lag)
            self._apply_create(trial.trial_id)
            return trial
        for name, value in state.items():
            setattr(self, name, value)
        if trial.status == "STOPPED" and self.limits.worker_timeout and self.ongoing_trials:
            trial.status = "IDLE"  # This worker may have to take over a trial.
            self.tuner_ids.add(tuner_id)
        self.exhausted = self.exhausted or trial.status == "STOPPED"
        return trial

    def _resume_trial(self, tuner_id: str) -> Trial | None:
        """Return the unfinished trial of this worker, or that of a lost one, if there is any."""
        if tuner_id in self.ongoing_trials:
            trial = self.ongoing_trials[tuner_id]
        elif lost := self._lost_workers():
            trial = self.ongoing_trials[min(lost)]
        else:
            return None
        self._record("launch", trial, tuner=tuner_id)
        self._apply_launch(trial.trial_id, tuner_id)
        return trial

    def _lost_workers(self) -> set[str]:
        """Return the workers that have a trial and are lost."""
        timeout = self.limits.worker_timeout
        if not timeout:
            return self.ongoing_trials.keys() - self.last_contact.keys()
        return {tuner_id for tuner_id in self.ongoing_trials if self._is_silent(tuner_id, timeout)}

    def _copy_as_stopped(self, trial_id: str) -> Trial:
        trial = copy.copy(self.trials[trial_id])
        trial.status = "STOPPED"
        return trial

    def _worker_of(self, trial_id: str) -> str:
        trials = self.ongoing_trials.items()
        return next(tuner_id for tuner_id, trial in trials if trial.trial_id == trial_id)

    def _record(self, kind: str, trial: Trial, **content: Any) -> None:
        seconds = round(self.elapsed, 3)
        self.journal.append({"event": kind, "trial": trial.trial_id, "seconds": seconds, **content})
        self.seconds.setdefault(trial.trial_id, []).append(seconds)

    def _apply_create(self, trial_id: str) -> None:
        self.reports[trial_id], self.launches[trial_id] = [], 1
        self.on_change(False)

    def _apply_launch(self, trial_id: str, tuner_id: str) -> None:
        self.ongoing_trials[tuner_id] = self.ongoing_trials.pop(self._worker_of(trial_id))
        self.launches[trial_id] += 1

    def _apply_report(self, trial_id: str, report: Report) -> None:
        self.reports[trial_id].append(report)
        self.launches[trial_id] = 0
        super().update_trial(trial_id, report.scores, report.step)
        if self.should_stop(trial_id):
            self.pruned.add(trial_id)
        self.on_change(False)

    def _end(self, trial: Trial, status: str, reason: str) -> None:
        self._record("end", trial, status=status, reason=reason)
        self._apply_end(trial, status, reason)

    def _apply_end(self, trial: Trial, status: str, reason: str) -> None:
        ended = copy.copy(trial)
        ended.status, ended.message = status, reason
        super().end_trial(ended)
        if status == "FAILED" and trial.trial_id == min(self.trials):
            self.first_trial_error = reason
        self.on_change(True)

    def _replay(self, event: dict[str, Any]) -> None:
        trial_id, self.seconds_before = event["trial"], event["seconds"]
        self.seconds.setdefault(trial_id, []).append(event["seconds"])
        match event["event"]:
            case "create":
                self.lags[trial_id], self.recorded_values = event["lag"], event["values"]
                trial = super().create_trial(event["tuner"])
                if (trial.trial_id, trial.hyperparameters.values) != (trial_id, event["values"]):
                    raise JournalError(
                        f"Received {self.journal.path}, whose trial {trial_id} has the values "
                        f"{event['values']}; expected {trial.hyperparameters.values}, which this "
                        "version proposes. Choose another --run-dir."
                    )
                self._apply_create(trial_id)
            case "launch":
                self._apply_launch(trial_id, event["tuner"])
            case "report":
                self._apply_report(trial_id, Report(event["step"], event["scores"]))
            case "end":
                self._apply_end(self.trials[trial_id], event["status"], event["reason"])
