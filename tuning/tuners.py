"""KerasTuner's own oracles, with a journal."""

from keras_tuner.src.tuners.bayesian import BayesianOptimizationOracle
from keras_tuner.src.tuners.gridsearch import GridSearchOracle
from keras_tuner.src.tuners.hyperband import HyperbandOracle
from keras_tuner.src.tuners.randomsearch import RandomSearchOracle

from tuning.oracles import Journaled


class Random(Journaled, RandomSearchOracle):
    """Values drawn evenly."""


class Grid(Journaled, GridSearchOracle):
    """All values in turn, those of the app first."""

    begins_itself = True


class Bayesian(Journaled, BayesianOptimizationOracle):
    """A Gaussian process."""


class Hyperband(Journaled, HyperbandOracle):
    """Many short trainings, of which the best are trained for longer, each time anew."""

    begins_itself = True
