"""Sharpness-aware minimisation: two passes a step, by plain `fit`."""

from typing import Any, cast

import keras
import tensorflow as tf

SMALLEST = 1e-12  # of a norm that is divided by


class SharpnessAware:
    """A mix-in before keras.Model whose steps look for minima that are wide.

        e = rho g(w) / ||g(w)||                                    SAM
        e = rho T^2 g(w) / ||T g(w)||,   T = |w| + eta             ASAM, `adaptive`
        w <- what the optimizer makes of w with g(w + e)

    Choose it for networks that fit their training set perfectly and should
    generalise: each step costs two of the optimizer's. Statistics of batch
    normalisation see both passes. Any optimizer, mixed precision, several
    `steps_per_execution` and replicas go on as before.

        class Net(SharpnessAware, keras.Model):
            radius = 0.1

        model = Net(inputs, outputs)
        model.compile("sgd", loss)
        model.fit(...)

    Attributes:
        radius: rho; 0.05, the paper's, of ASAM rather 0.5.
        adaptive: ASAM, whose steps do not depend on the scale of the weights.
        eta: of ASAM; 0.01, the paper's.

    References:
        Foret et al., Sharpness-Aware Minimization, ICLR 2021, equation 2 and algorithm 1;
        Kwon et al., ASAM, ICML 2021, equation 7 (eta as in section 5).

    """

    radius: float = 0.05
    adaptive: bool = False
    eta: float = 0.01

    # Of the keras.Model that it is mixed into.
    optimizer: Any
    metrics: Any
    trainable_variables: Any
    compute_loss: Any
    compute_metrics: Any

    def train_step(self, data: Any) -> dict[str, Any]:
        """Both passes over a batch, and a step. Raises ValueError for a wrong radius."""
        if not 0 <= self.radius < float("inf"):
            raise ValueError(f"Received radius={self.radius!r}; expected a finite number from 0.")
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = self.trainable_variables
        gradients, loss, y_pred = self._gradients(x, y, sample_weight)
        ascent = self._ascent(self._reduced(gradients), variables)
        kept = [variable + 0.0 for variable in variables]
        for variable, step in zip(variables, ascent, strict=True):
            variable.assign_add(step)
        gradients, _, _ = self._gradients(x, y, sample_weight)
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)
        self.optimizer.apply(gradients, variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, tf.shape(keras.tree.flatten(x)[0])[0])
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _gradients(self, x: Any, y: Any, sample_weight: Any) -> tuple[list[Any], Any, Any]:
        """Compute gradients of this replica's part of the loss, the loss and the predictions."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            y_pred = cast("Any", self)(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss / replicas)
        sources = [variable.value for variable in self.trainable_variables]
        return tape.gradient(scaled, sources), loss, y_pred

    def _reduced(self, gradients: list[Any]) -> list[Any]:
        """Sum dense gradients over all replicas, whose weights must stay equal."""
        zero = [tf.zeros_like(variable.value) for variable in self.trainable_variables]
        dense = [
            rest if one is None else tf.convert_to_tensor(one)
            for one, rest in zip(gradients, zero, strict=True)
        ]
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, dense)

    def _ascent(self, gradients: list[Any], variables: list[Any]) -> list[Any]:
        """Compute the perturbation e of each variable."""
        scales = [
            tf.abs(one) + self.eta if self.adaptive else tf.ones([], one.dtype) for one in variables
        ]
        scaled = [scale * one for scale, one in zip(scales, gradients, strict=True)]
        norm = tf.linalg.global_norm([tf.cast(one, "float32") for one in scaled])
        factor = self.radius / tf.maximum(norm, SMALLEST)
        return [
            tf.cast(factor, one.dtype) * scale * one
            for scale, one in zip(scales, scaled, strict=True)
        ]


@keras.saving.register_keras_serializable("athanor")
class SharpnessAwareModel(SharpnessAware, keras.Model):
    """A model of inputs and outputs that trains by SAM: as keras.Model(inputs, outputs)."""
