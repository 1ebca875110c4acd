"""Count the runs evaluated on a test set, and estimate the selection bias of their best score.

Repeated use overfits a test set: to read test scores and to train again is to select by them. The
ledger is a folder in the user's state directory. It has a file for each test set, named by a digest
of the examples, with a digest of every run that was evaluated on it.
"""

import contextlib
import fcntl
import functools
import hashlib
import os
import re
from typing import NamedTuple

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

from apps.metrics import Metric
from evaluation.intervals import Interval, Z
from evaluation.rounding import amount
from pipelines.files import state_directory
from training.run import MANIFEST, Run

FOLDER = "test-sets"
DIGEST = re.compile("[0-9a-f]{32}")


class SelectionBias(NamedTuple):
    """The largest expected bias of the best score on a test set.

    Attributes:
        other_runs: other runs evaluated on the test set on this machine.
        bias: upper bound of the expected difference between the best score of all runs and its
            true value, in the first metric.

    """

    other_runs: int
    bias: float

    def to_json(self) -> dict[str, float]:
        """Return the value of `test_set` in scores.json."""
        return {"other_runs": self.other_runs, "flatters": self.bias}


def record(test_set: str, run: Run) -> int | None:
    """Record that a run was evaluated on a test set, and count the other runs.

    The same run counts once. Returns None if the ledger cannot be written.
    """
    digest = hashlib.blake2b((run.path / MANIFEST).read_bytes(), digest_size=16).hexdigest()
    try:
        path = state_directory() / FOLDER / test_set
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            with contextlib.suppress(OSError):  # Some network file systems have no locks.
                fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            known = set(DIGEST.findall(file.read().decode("ascii", "replace")))
            if digest not in known:
                # The first line break ends an incomplete line of a killed process.
                os.write(file.fileno(), f"\n{digest}\n".encode())
    except (OSError, RuntimeError):  # RuntimeError: the user has no home directory
        return None
    return len(known - {digest})


def selection_bias(other_runs: int, interval: Interval) -> SelectionBias:
    """Estimate the bias of the best score, from the interval of one score."""
    deviation = (interval[1] - interval[0]) / (2 * Z)
    return SelectionBias(other_runs, deviation * expected_maximum(other_runs + 1))


@functools.cache
def expected_maximum(count: int) -> float:
    """Return the expected maximum of `count` independent standard normal variables.

    It is the integral of x count phi(x) Phi(x)^(count - 1). If all runs are equally good and
    their scores have independent errors with the standard error s, the best score exceeds
    the true one by s times this value. Scores on the same test set have correlated errors,
    so it is an upper bound.

    References:
        David and Nagaraja, Order Statistics, 3rd edition, 2003, section 3.1.

    """
    if count < 2:
        return 0.0

    def density(x: float) -> float:
        return float(x * np.exp(np.log(count) + norm.logpdf(x) + (count - 1) * norm.logcdf(x)))

    return float(quad(density, -10.0, 40.0, points=[0.0, 2.0, 4.0, 6.0], limit=200)[0])


def sentence(bias: SelectionBias, metric: Metric) -> str:
    """Return a note for the user; empty if no other run was evaluated."""
    count = bias.other_runs
    if not count:
        return ""
    runs = "1 other run" if count == 1 else f"{count:,} other runs"
    return (
        f"This test set was used to evaluate {runs}; the best of {count + 1:,} may look "
        f"up to {amount(bias.bias, metric)} better than it is. Choose by validation scores."
    )
