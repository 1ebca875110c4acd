"""Optimizers by name: ours and every one of Keras's.

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
from optimizers.schedule_free import AveragedWeights, ScheduleFree, averaged
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
    "WholeBatchError",
    "Yogi",
    "averaged",
    "default_rate",
    "get",
    "get_solver",
    "is_schedule_free",
    "is_tuning_free",
    "key",
    "names",
]

SOLVERS = (LBFGS, LevenbergMarquardt, Newton)  # of all examples at once
ALL = (AdaBelief, Adan, LARS, Nesterov, NovoGrad, Prodigy, RAdam, SOAP, Yogi)
WRAPPERS = (CentralizedGradient, Lookahead, ScheduleFree)  # that need nothing but an optimizer

TUNING_FREE = (Prodigy,)  # their learning rate is a factor of one that they find
SCHEDULE_FREE = (ScheduleFree,)  # the average of their weights takes the place of a schedule

# Wrappers of another optimizer, and one whose averaged weights are wrong on TensorFlow
# in Keras 3.15: its "old" momentum is read after the assignment.
_NOT_BY_NAME = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "ScheduleFreeAdamW"}


_MODEL = "takes two passes a step: train a model of training.sharpness in your own code"
_ELSEWHERE = {
    "sam": _MODEL,
    "asam": _MODEL,
    "layerwiselearningrate": "needs the shares of layers: make one in your own code",
}


class WholeBatchError(ValueError):
    """A solver, which needs all examples at once, where batches come."""

    exit_status = 2


class UnknownOptimizerError(ValueError):
    """A name that neither this package nor keras.optimizers knows."""

    exit_status = 2


def names() -> dict[str, type]:
    """Every optimizer that `get` finds, by its name in lower case.

    Keras's have dense gradients: they would square the parts of a repeated embedding row.
    """
    ours = {cls.__name__.lower(): cls for cls in ALL}
    theirs = {
        name.lower(): with_dense_gradients(cls)
        for name, cls in vars(keras.optimizers).items()
        if inspect.isclass(cls)
        and issubclass(cls, keras.optimizers.Optimizer)
        and name not in _NOT_BY_NAME
    }
    return theirs | ours | {cls.__name__.lower(): cls for cls in WRAPPERS}


def default_rate(name: str) -> float:
    """The default learning rate of an optimizer, read without making one.

    An optimizer has variables, and workers wait for each other wherever one makes a variable.
    """
    cls: Any = _class_of(name)
    cls = keras.optimizers.Adam if cls in WRAPPERS else cls
    return inspect.signature(cls.__init__).parameters["learning_rate"].default


def is_tuning_free(name: str) -> bool:
    """Whether an optimizer finds its learning rate, which nobody should scale then."""
    return names().get(key(name)) in TUNING_FREE


def is_schedule_free(name: str) -> bool:
    """Whether an optimizer averages its weights, so that no schedule should lower its rate."""
    return names().get(key(name)) in SCHEDULE_FREE


def get_solver(name: str) -> Solver | None:
    """A new solver of a name; None where the name is no solver's."""
    found = {cls.__name__.lower(): cls for cls in SOLVERS}.get(key(name))
    return found and found()


def key(name: str) -> str:
    """A name as `get` compares it: in lower case, without _ and -."""
    return name.lower().replace("_", "").replace("-", "")


def get(name: str, learning_rate: Any) -> Any:
    """A new optimizer; `learning_rate` is a float or a schedule. Case and _ do not count."""
    found = _class_of(name)
    if found in WRAPPERS:
        momentum = {"beta_1": 0.0} if found is ScheduleFree else {}
        return found(keras.optimizers.Adam(learning_rate, **momentum))
    return found(learning_rate=learning_rate)


def _class_of(name: str) -> type:
    """The class of an optimizer. Raises UnknownOptimizerError, or WholeBatchError for a solver."""
    known = names()
    wanted = key(name)
    if get_solver(name):
        raise WholeBatchError(
            f"Received the optimizer {name!r}, which needs all examples at once; expected one that "
            "takes them in batches. Regression takes it, with a smooth model."
        )
    if wanted in _ELSEWHERE:
        raise UnknownOptimizerError(f"Received the optimizer {name!r}, which {_ELSEWHERE[wanted]}.")
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownOptimizerError(
            f"Received the optimizer {name!r}; expected one of {', '.join(sorted(known))}.{hint}"
        )
    return known[wanted]
