"""Sharpness-aware minimisation: two passes a step, by plain `fit`."""

from typing import Any, cast

import keras
import tensorflow as tf

MIN_NORM = 1e-12  # avoids a division by zero


class SharpnessAware:
    """A mix-in before keras.Model whose steps prefer flat minima.

        e = rho g(w) / ||g(w)||                                    SAM
        e = rho T^2 g(w) / ||T g(w)||,   T = |w| + eta             ASAM, `adaptive`
        w <- the optimizer's step from w with the gradient g(w + e)

    Choose it for networks that fit their training set perfectly and should generalise: each step
    takes twice as long. Statistics of batch normalisation include both passes. It works with any
    optimizer, mixed precision, several `steps_per_execution` and replicas.

        class Net(SharpnessAware, keras.Model):
            radius = 0.1

        model = Net(inputs, outputs)
        model.compile("sgd", loss)
        model.fit(...)

    Attributes:
        radius: rho; the papers use 0.05 for SAM and 0.5 for ASAM.
        adaptive: use ASAM, whose steps do not depend on the scale of the weights.
        eta: eta of ASAM; the paper uses 0.01.

    References:
        Foret et al., Sharpness-Aware Minimization, ICLR 2021, equation 2 and algorithm 1;
        Kwon et al., ASAM, ICML 2021, equation 7 (eta as in section 5).

    """

    radius: float = 0.05
    adaptive: bool = False
    eta: float = 0.01

    # Attributes of keras.Model.
    optimizer: Any
    metrics: Any
    trainable_variables: Any
    compute_loss: Any
    compute_metrics: Any

    def train_step(self, data: Any) -> dict[str, Any]:
        """Make both passes over a batch, and a step. Raises ValueError for a wrong radius."""
        if not 0 <= self.radius < float("inf"):
            raise ValueError(f"Received radius={self.radius!r}; expected a finite number from 0.")
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = self.trainable_variables
        gradients, loss, y_pred = self._gradients(x, y, sample_weight)
        ascent = self._ascent(self._reduced(gradients), variables)
        original = [variable + 0.0 for variable in variables]
        for variable, step in zip(variables, ascent, strict=True):
            variable.assign_add(step)
        gradients, _, _ = self._gradients(x, y, sample_weight)
        for variable, value in zip(variables, original, strict=True):
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
        all_zeros = [tf.zeros_like(variable.value) for variable in self.trainable_variables]
        dense = [
            zeros if gradient is None else tf.convert_to_tensor(gradient)
            for gradient, zeros in zip(gradients, all_zeros, strict=True)
        ]
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, dense)

    def _ascent(self, gradients: list[Any], variables: list[Any]) -> list[Any]:
        """Compute the perturbation e of each variable."""
        scales = [
            tf.abs(value) + self.eta if self.adaptive else tf.ones([], value.dtype)
            for value in variables
        ]
        scaled = [scale * value for scale, value in zip(scales, gradients, strict=True)]
        norm = tf.linalg.global_norm([tf.cast(value, "float32") for value in scaled])
        factor = self.radius / tf.maximum(norm, MIN_NORM)
        return [
            tf.cast(factor, value.dtype) * scale * value
            for scale, value in zip(scales, scaled, strict=True)
        ]


@keras.saving.register_keras_serializable("athanor")
class SharpnessAwareModel(SharpnessAware, keras.Model):
    """A model that trains by SAM, made like keras.Model(inputs, outputs)."""
