"""Simulated searches: a formula gives the score of a trial, so that nothing is trained."""

import math

from apps import Mnist
from apps.fields import Range
from tuning import report, search, search_spec, space
from tuning.limits import Limits
from tuning.options import TuneOptions
from tuning.oracles import SCORE

SPACE = {
    "learning_rate": Range(0.01, 1.0, log=True),
    "batch_size": (32, 64, 96),
    "model": ("cnn", "mlp"),
}
TUNERS = ("tpe", "random", "grid", "bayesian", "hyperband")
EPOCHS = 4


def make_oracle(directory, tuner="tpe", trials=12, workers=1, directions=None, **limits):
    app = Mnist(epochs=EPOCHS, batch_size=96)
    spec = search_spec.SearchSpec(
        app, SPACE, tuner, directions or {"val_loss": "min"}, TuneOptions()
    )
    oracle = search._oracle(spec)
    directory.mkdir(exist_ok=True)
    oracle.open(directory, Limits(trials, workers=workers, **limits), space.default(app, SPACE))
    return oracle


def loss(values, step):
    """Return a loss that falls with every epoch and is least at a learning rate of 0.1."""
    size = {"cnn": 0.0, "mlp": 0.3}[values["model"]] + values["batch_size"] / 1000
    return abs(math.log10(values["learning_rate"]) + 1) + size + 1 / step


class Worker:
    """A worker that makes one call at a time, so that calls of several workers interleave."""

    def __init__(self, name):
        self.name, self.trial, self.step = name, None, 0

    def act(self, oracle):
        """Make the next call; return False if no trial is left."""
        if self.trial is None:
            trial = oracle.create_trial(self.name)
            if trial.status == "RUNNING":
                self.trial = trial
                self.step = len(oracle.reports[trial.trial_id])
            return trial.status != "STOPPED"
        epochs = self.trial.hyperparameters.values.get("tuner/epochs", EPOCHS)
        if self.step < epochs:
            self.step += 1
            score = loss(self.trial.hyperparameters.values, self.step)
            trial = oracle.update_trial(self.trial.trial_id, {SCORE: score}, step=self.step)
            if trial.status == "RUNNING":
                return True
        self.trial.status = "COMPLETED"
        oracle.end_trial(self.trial)
        self.trial = None
        return True


def run_search(directory, tuner, workers=1, kill=None, **options):
    """Run a search to its end; all processes end after each call for which `kill` returns True."""
    oracle = make_oracle(directory, tuner, workers=workers, **options)
    busy_workers = [Worker(f"worker-{number}") for number in range(workers)]
    for call in range(1000):
        if not busy_workers:
            return oracle
        worker = busy_workers[call % len(busy_workers)]
        if not worker.act(oracle):
            busy_workers.remove(worker)
        elif kill and kill(call):
            oracle = make_oracle(directory, tuner, workers=workers, **options)
            busy_workers = [Worker(f"worker-{number}") for number in range(workers)]
    raise AssertionError("the search does not end")


def trial_rows(oracle):
    """Return the rows of the table of trials, without times."""
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in report.table(oracle)
    ]
