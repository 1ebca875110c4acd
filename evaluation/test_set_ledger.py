"""How many runs a test set has judged, and how much that flatters the best of them.

A test set wears out: whoever trains, reads the test score and trains again chooses by
it. The ledger holds a file for each test set, named by a digest of its examples,
with a digest of every run that it judged. It lies in the user's state directory.
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


class Wear(NamedTuple):
    """How much a test set is used up.

    Attributes:
        other_runs: the number of other runs that it judged on this machine.
        flatters: by how much the best of all of them looks better than it is, at most,
            in the first metric.

    """

    other_runs: int
    flatters: float


def judged(test_set: str, run: Run) -> int | None:
    """Note that a test set judged a run; returns how many others it judged.

    None where the ledger cannot be written. The same run counts once.
    """
    own = hashlib.blake2b((run.path / MANIFEST).read_bytes(), digest_size=16).hexdigest()
    try:
        path = state_directory() / FOLDER / test_set
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            with contextlib.suppress(OSError):  # some file systems of networks know no locks
                fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            known = set(DIGEST.findall(file.read().decode("ascii", "replace")))
            if own not in known:
                # The first line break ends what a killed process left.
                os.write(file.fileno(), f"\n{own}\n".encode())
    except (OSError, RuntimeError):  # no such home
        return None
    return len(known - {own})


def wear(other_runs: int, interval: Interval) -> Wear:
    """What the number of other runs means for the best score among all of them."""
    deviation = (interval[1] - interval[0]) / (2 * Z)
    return Wear(other_runs, deviation * expected_maximum(other_runs + 1))


@functools.cache
def expected_maximum(count: int) -> float:
    """The mean of the largest of `count` independent standard normal numbers.

    The integral of x count phi(x) Phi(x)^(count - 1). Where runs are equally good and
    their scores err independently with the standard error s, the best of them looks
    s times this better than it is. The errors of runs on one test set go together, so
    it is the most that chance adds.

    References:
        David and Nagaraja, Order Statistics, 3rd edition, 2003, section 3.1.

    """
    if count < 2:
        return 0.0

    def density(x: float) -> float:
        return float(x * np.exp(np.log(count) + norm.logpdf(x) + (count - 1) * norm.logcdf(x)))

    return float(quad(density, -10.0, 40.0, points=[0.0, 2.0, 4.0, 6.0], limit=200)[0])


def sentence(told: Wear, known: Metric) -> str:
    """For people; empty where no other run was judged."""
    if not told.other_runs:
        return ""
    runs = "1 other run" if told.other_runs == 1 else f"{told.other_runs:,} other runs"
    return (
        f"This test set has judged {runs}; the best of {told.other_runs + 1:,} looks up to "
        f"{amount(told.flatters, known)} better than it is. Choose by validation scores."
    )
