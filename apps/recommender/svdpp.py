"""SVD++ by gradient descent (Koren, 2008), folded into plain factors after every epoch.

rating(u, i) = mean + b_u + c_i + (p_u + sum of y_j over the items j that u met / sqrt(|N(u)|)) q_i
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.recommender.factors import Factors, Pairs
from optimizers import averaged_weights


def epochs(
    pairs: Pairs,
    batches: Iterator[Any],
    steps: int,
    optimizer: keras.optimizers.Optimizer,
    *,
    num_factors: int,
    l2: float,
    seed: int,
) -> Iterator[tuple[Factors, float]]:
    """The factors, and the mean squared error on the way, after every `steps` batches.

    A batch is numbers {user, item} from 1, and ratings, [n] each, or the replicas' shares of it.
    The optimizer is this one's from the call on, before the first batch is asked for.
    """
    model = _SvdPlusPlus(pairs, num_factors, l2, seed)
    optimizer.build(model.parts)
    strategy = tf.distribute.get_strategy()

    def share(numbers: Any, rating: Any) -> Any:
        with tf.GradientTape() as tape:
            error, penalty = model.loss(numbers["user"] - 1, numbers["item"] - 1, rating)
            whole = (error + penalty) / strategy.num_replicas_in_sync
        gradients = tape.gradient(whole, [part.value for part in model.parts])
        optimizer.apply(gradients, model.parts)
        return tf.debugging.check_numerics(error, "The loss is not finite.")

    @tf.function(autograph=False)
    def step(numbers: Any, rating: Any) -> Any:
        return strategy.reduce("MEAN", strategy.run(share, (numbers, rating)), axis=None)

    def found() -> Iterator[tuple[Factors, float]]:
        while True:
            errors = [step(*next(batches)) for _ in range(steps)]
            with averaged_weights(optimizer):
                yield model.folded(), float(np.mean(errors))

    return found()


class _SvdPlusPlus:
    """The variables and what they explain."""

    def __init__(self, pairs: Pairs, num_factors: int, l2: float, seed: int) -> None:
        random = np.random.default_rng(seed)
        counts = (pairs.num_users, pairs.num_items, pairs.num_items)
        drawn = [random.standard_normal((count, num_factors), "float32") for count in counts]
        flat = [np.zeros(count, "float32") for count in counts[:2]]
        self.parts = [keras.Variable(value) for value in (*(0.1 * some for some in drawn), *flat)]
        self.mean, self.l2 = pairs.ratings.mean(), l2
        numbers = np.bincount(pairs.users, minlength=pairs.num_users)
        table = pairs.table(1 / np.sqrt(numbers[pairs.users]))
        # A user's items are met[starts[user] : starts[user + 1]].
        self.starts, self.met = (
            tf.constant(part, "int64") for part in (table.indptr, table.indices)
        )
        self.weights = tf.constant(table.data, "float32")

    def tastes(self, some: Any) -> Any:
        """The own factors of some users [n], and those of what they met."""
        users, _, implicit, *_ = self.parts
        first, end = tf.gather(self.starts, some), tf.gather(self.starts, some + 1)
        places = tf.ragged.range(first, end)
        indices = tf.stack([places.value_rowids(), tf.gather(self.met, places.values)], 1)
        shape = tf.cast([tf.size(some), implicit.shape[0]], "int64")
        met = tf.SparseTensor(indices, tf.gather(self.weights, places.values), shape)
        return tf.gather(users.value, some) + tf.sparse.sparse_dense_matmul(met, implicit.value)

    def loss(self, user: Any, item: Any, rating: Any) -> tuple[Any, Any]:
        """Mean squared error, and the penalty on what answered."""
        _, items, _, user_biases, item_biases = (part.value for part in self.parts)
        once, place = tf.unique(user)  # what a user met is added up once a step
        taste, trait = tf.gather(self.tastes(once), place), tf.gather(items, item)
        biases = tf.gather(user_biases, user), tf.gather(item_biases, item)
        answer = self.mean + sum(biases) + tf.reduce_sum(taste * trait, 1)
        size = tf.reduce_sum(taste**2 + trait**2, 1) + sum(bias**2 for bias in biases)
        return tf.reduce_mean((rating - answer) ** 2), self.l2 * tf.reduce_mean(size)

    def folded(self) -> Factors:
        """Plain factors that answer alike."""
        _, items, _, *biases = (part.numpy() for part in self.parts)
        everyone = tf.range(self.parts[0].shape[0])
        return Factors(self.tastes(everyone).numpy(), items, *biases)
