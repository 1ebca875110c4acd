"""Searches without trainings: what a trial would score is a formula."""

import math

from apps import Mnist
from apps.fields import Range
from tuning import report, search, search_spec, space
from tuning.options import TuneOptions
from tuning.oracles import SCORE, Limits

SPACE = {
    "learning_rate": Range(0.01, 1.0, log=True),
    "batch_size": (32, 64, 96),
    "model": ("cnn", "mlp"),
}
TUNERS = ("tpe", "random", "grid", "bayesian", "hyperband")
EPOCHS = 4


def opened(directory, tuner="tpe", trials=12, workers=1, ways=None, **limits):
    app = Mnist(epochs=EPOCHS, batch_size=96)
    told = search_spec.SearchSpec(app, SPACE, tuner, ways or {"val_loss": "min"}, TuneOptions())
    oracle = search._oracle(told)
    directory.mkdir(exist_ok=True)
    oracle.open(directory, Limits(trials, workers=workers, **limits), space.default(app, SPACE))
    return oracle


def loss(values, step):
    """As of a training: better with every epoch, best at a learning rate of 0.1."""
    size = {"cnn": 0.0, "mlp": 0.3}[values["model"]] + values["batch_size"] / 1000
    return abs(math.log10(values["learning_rate"]) + 1) + size + 1 / step


class Worker:
    """One that works a call at a time, so that another may come between."""

    def __init__(self, name):
        self.name, self.trial, self.step = name, None, 0

    def act(self, oracle):
        """The next call; False where there is nothing left to do."""
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
            answer = oracle.update_trial(self.trial.trial_id, {SCORE: score}, step=self.step)
            if answer.status == "RUNNING":
                return True
        self.trial.status = "COMPLETED"
        oracle.end_trial(self.trial)
        self.trial = None
        return True


def searched(directory, tuner, workers=1, kill=None, **options):
    """A search to its end; `kill` says after which calls all processes end."""
    oracle = opened(directory, tuner, workers=workers, **options)
    crew = [Worker(f"worker-{number}") for number in range(workers)]
    for call in range(1000):
        working = crew[call % len(crew)] if crew else None
        if working is None:
            return oracle
        if not working.act(oracle):
            crew.remove(working)
        elif kill and kill(call):
            oracle = opened(directory, tuner, workers=workers, **options)
            crew = [Worker(f"worker-{number}") for number in range(workers)]
    raise AssertionError("the search has no end")


def told(oracle):
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in report.table(oracle)
    ]
