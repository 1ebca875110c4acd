"""SVD++ by gradient descent (Koren, 2008), reduced to plain factors after every epoch.

rating(u, i) = mean + b_u + c_i + (p_u + sum of y_j over items j of user u / sqrt(|N(u)|)) q_i
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.recommender.factors import Factors, Interactions
from optimizers import averaged_weights


def train_epochs(
    interactions: Interactions,
    batches: Iterator[Any],
    steps_per_epoch: int,
    optimizer: keras.optimizers.Optimizer,
    *,
    num_factors: int,
    l2: float,
    seed: int,
) -> Iterator[tuple[Factors, float]]:
    """Yield the factors and the mean squared error of the batches after every epoch.

    A batch is numbers {user, item} from 1, and ratings, [n] each, or a replica's part of it.
    The call builds the optimizer, before the first batch is read.
    """
    model = _SvdPlusPlus(interactions, num_factors, l2, seed)
    optimizer.build(model.variables)
    strategy = tf.distribute.get_strategy()

    def replica_step(numbers: Any, rating: Any) -> Any:
        with tf.GradientTape() as tape:
            error, penalty = model.loss(numbers["user"] - 1, numbers["item"] - 1, rating)
            loss = (error + penalty) / strategy.num_replicas_in_sync
        gradients = tape.gradient(loss, [variable.value for variable in model.variables])
        optimizer.apply(gradients, model.variables)
        return tf.debugging.check_numerics(error, "The loss is not finite.")

    @tf.function(autograph=False)
    def step(numbers: Any, rating: Any) -> Any:
        errors = strategy.run(replica_step, (numbers, rating))
        return strategy.reduce("MEAN", errors, axis=None)

    def epochs() -> Iterator[tuple[Factors, float]]:
        while True:
            errors = [step(*next(batches)) for _ in range(steps_per_epoch)]
            with averaged_weights(optimizer):
                yield model.factors(), float(np.mean(errors))

    return epochs()


class _SvdPlusPlus:
    """The variables of SVD++ and the loss of a batch."""

    def __init__(self, interactions: Interactions, num_factors: int, l2: float, seed: int) -> None:
        random = np.random.default_rng(seed)
        num_users, num_items = interactions.num_users, interactions.num_items
        counts = (num_users, num_items, num_items)
        normal = [random.standard_normal((count, num_factors), "float32") for count in counts]
        biases = [np.zeros(count, "float32") for count in counts[:2]]
        initial = (*(0.1 * values for values in normal), *biases)
        self.variables = [keras.Variable(values) for values in initial]
        self.mean, self.l2 = interactions.ratings.mean(), l2
        items_per_user = np.bincount(interactions.users, minlength=num_users)
        matrix = interactions.matrix(1 / np.sqrt(items_per_user[interactions.users]))
        # The items of a user are user_items[starts[user] : starts[user + 1]].
        self.starts, self.user_items = (
            tf.constant(part, "int64") for part in (matrix.indptr, matrix.indices)
        )
        self.weights = tf.constant(matrix.data, "float32")

    def user_factors(self, numbers: Any) -> Any:
        """Return explicit plus implicit factors of users with these numbers [n]."""
        users, _, implicit, *_ = self.variables
        first, end = tf.gather(self.starts, numbers), tf.gather(self.starts, numbers + 1)
        positions = tf.ragged.range(first, end)
        items = tf.gather(self.user_items, positions.values)
        indices = tf.stack([positions.value_rowids(), items], 1)
        shape = tf.cast([tf.size(numbers), implicit.shape[0]], "int64")
        matrix = tf.SparseTensor(indices, tf.gather(self.weights, positions.values), shape)
        return tf.gather(users.value, numbers) + tf.sparse.sparse_dense_matmul(
            matrix, implicit.value
        )

    def loss(self, user: Any, item: Any, rating: Any) -> tuple[Any, Any]:
        """Return the mean squared error, and the L2 penalty on the factors and biases used."""
        _, items, _, user_biases, item_biases = (variable.value for variable in self.variables)
        distinct, inverse = tf.unique(user)  # a user's items are added up once a step
        left = tf.gather(self.user_factors(distinct), inverse)
        right = tf.gather(items, item)
        biases = tf.gather(user_biases, user), tf.gather(item_biases, item)
        predicted = self.mean + sum(biases) + tf.reduce_sum(left * right, 1)
        size = tf.reduce_sum(left**2 + right**2, 1) + sum(bias**2 for bias in biases)
        return tf.reduce_mean((rating - predicted) ** 2), self.l2 * tf.reduce_mean(size)

    def factors(self) -> Factors:
        """Return plain factors that predict the same ratings."""
        _, items, _, *biases = (variable.numpy() for variable in self.variables)
        all_users = tf.range(self.variables[0].shape[0])
        return Factors(self.user_factors(all_users).numpy(), items, *biases)
