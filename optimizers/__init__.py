"""Optimizers by name: those of this package and all of Keras.

`from optimizers import Adan` works in any Keras 3 program.
"""

import difflib
import inspect
from typing import Any

import keras

from optimizers.adabelief import AdaBelief
from optimizers.adan import Adan
from optimizers.centralized import CentralizedGradient
from optimizers.dense_gradients import with_dense_gradients
from optimizers.lars import LARS
from optimizers.layerwise import LayerwiseLearningRate
from optimizers.lbfgs import LBFGS
from optimizers.levenberg_marquardt import LevenbergMarquardt
from optimizers.lookahead import Lookahead
from optimizers.nesterov import Nesterov
from optimizers.newton import Newton
from optimizers.novograd import NovoGrad
from optimizers.prodigy import Prodigy
from optimizers.radam import RAdam
from optimizers.schedule_free import AveragedWeights, ScheduleFree, averaged_weights
from optimizers.schedules import OneCycle, WarmupStableDecay
from optimizers.soap import SOAP
from optimizers.solver import Solver
from optimizers.yogi import Yogi

__all__ = [
    "ALL",
    "LARS",
    "LBFGS",
    "SOAP",
    "AdaBelief",
    "Adan",
    "AveragedWeights",
    "CentralizedGradient",
    "FullBatchError",
    "LayerwiseLearningRate",
    "LevenbergMarquardt",
    "Lookahead",
    "Nesterov",
    "Newton",
    "NovoGrad",
    "OneCycle",
    "Prodigy",
    "RAdam",
    "ScheduleFree",
    "UnknownOptimizerError",
    "WarmupStableDecay",
    "Yogi",
    "averaged_weights",
    "default_learning_rate",
    "get",
    "get_solver",
    "is_learning_rate_free",
    "is_schedule_free",
    "names",
    "normalized_name",
]

SOLVERS = (LBFGS, LevenbergMarquardt, Newton)  # need all examples at once
ALL = (AdaBelief, Adan, LARS, Nesterov, NovoGrad, Prodigy, RAdam, SOAP, Yogi)
WRAPPERS = (CentralizedGradient, Lookahead, ScheduleFree)  # need only an inner optimizer

LEARNING_RATE_FREE = (Prodigy,)  # estimate their learning rate; the argument is a factor of it
SCHEDULE_FREE = (ScheduleFree,)  # average their weights in place of a schedule

# Wrappers of another optimizer, and ScheduleFreeAdamW: Keras 3.15 reads its old momentum after
# the assignment on TensorFlow, so its averaged weights are wrong.
_EXCLUDED_KERAS_OPTIMIZERS = {
    "Optimizer",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "ScheduleFreeAdamW",
}

_SAM_HINT = "takes two passes per step: train a model of training.sharpness in your own code"
_HINTS_BY_NAME = {
    "sam": _SAM_HINT,
    "asam": _SAM_HINT,
    "layerwiselearningrate": "needs multipliers of layers: make one in your own code",
}


class FullBatchError(ValueError):
    """Raised for a full-batch solver where training uses mini-batches."""

    exit_status = 2


class UnknownOptimizerError(ValueError):
    """Raised for a name that is neither in this package nor in keras.optimizers."""

    exit_status = 2


def names() -> dict[str, type]:
    """Return the optimizer classes that `get` accepts, by lower-case name.

    Classes of Keras get dense gradients, since they would square each part of a repeated row of an
    embedding.
    """
    ours = {cls.__name__.lower(): cls for cls in ALL}
    theirs = {
        name.lower(): with_dense_gradients(cls)
        for name, cls in vars(keras.optimizers).items()
        if inspect.isclass(cls)
        and issubclass(cls, keras.optimizers.Optimizer)
        and name not in _EXCLUDED_KERAS_OPTIMIZERS
    }
    return theirs | ours | {cls.__name__.lower(): cls for cls in WRAPPERS}


def default_learning_rate(name: str) -> float:
    """Return the default learning rate of an optimizer without making one.

    An optimizer creates variables, and workers wait for each other at each new variable.
    """
    cls: Any = _find_class(name)
    cls = keras.optimizers.Adam if cls in WRAPPERS else cls
    return inspect.signature(cls.__init__).parameters["learning_rate"].default


def is_learning_rate_free(name: str) -> bool:
    """Whether an optimizer estimates its own learning rate, which needs no scaling."""
    return names().get(normalized_name(name)) in LEARNING_RATE_FREE


def is_schedule_free(name: str) -> bool:
    """Whether an optimizer averages its weights and needs no decaying learning rate."""
    return names().get(normalized_name(name)) in SCHEDULE_FREE


def get_solver(name: str) -> Solver | None:
    """Make the full-batch solver of a name; None if the name is not a solver's."""
    solver = {cls.__name__.lower(): cls for cls in SOLVERS}.get(normalized_name(name))
    return solver and solver()


def normalized_name(name: str) -> str:
    """Return a name as `get` compares it: in lower case, without _ and -."""
    return name.lower().replace("_", "").replace("-", "")


def get(name: str, learning_rate: Any) -> Any:
    """Make an optimizer by name, which ignores case, _ and -.

    `learning_rate` is a float or a schedule. Raises FullBatchError, UnknownOptimizerError.
    """
    cls: Any = _find_class(name)
    if cls in WRAPPERS:
        momentum = {"beta_1": 0.0} if cls is ScheduleFree else {}
        return cls(keras.optimizers.Adam(learning_rate, **momentum))
    return cls(learning_rate=learning_rate)


def _find_class(name: str) -> type:
    """Find an optimizer class. Raises UnknownOptimizerError, or FullBatchError for a solver."""
    known = names()
    key = normalized_name(name)
    if get_solver(name):
        raise FullBatchError(
            f"Received the optimizer {name!r}, which needs all examples at once; expected one that "
            "trains on batches. Regression accepts it, with a smooth model."
        )
    if key in _HINTS_BY_NAME:
        raise UnknownOptimizerError(
            f"Received the optimizer {name!r}, which {_HINTS_BY_NAME[key]}."
        )
    if key not in known:
        near = difflib.get_close_matches(key, known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownOptimizerError(
            f"Received the optimizer {name!r}; expected one of {', '.join(sorted(known))}.{hint}"
        )
    return known[key]
