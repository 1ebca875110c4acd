"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

import math
from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from optimizers.rule import Rule, moving_average


class Preconditioner(NamedTuple):
    """Preconditioner of the rows or columns of a matrix.

    Attributes:
        factor: L or R, the average of the outer products of gradients.
        basis: P or Q, its eigenvectors.

    """

    factor: Any
    basis: Any


@keras.saving.register_keras_serializable("athanor")
class SOAP(Rule):
    """Adam on gradients that are rotated into the eigenbasis of Shampoo's preconditioner.

        G' = P^T G Q
        M <- beta_1 M + (1 - beta_1) G
        V <- beta_2 V + (1 - beta_2) G'^2
        W <- W - eta P (M'_hat / (sqrt(V_hat) + epsilon)) Q^T     with M' = P^T M Q
        L <- beta_2 L + (1 - beta_2) G G^T
        R <- beta_2 R + (1 - beta_2) G^T G
        P, Q <- QR(L P), QR(R Q)      every `precondition_frequency` steps

    P and Q start as the eigenvectors of L and R; the first step only computes these and changes
    no weight. Convolution kernels are matrices with their last axis as columns; vectors get
    plain Adam. Choose it if steps are expensive and layers at most a thousand wide; the paper
    needs fewer steps than with AdamW. Stores two arrays per variable, and 2 (m^2 + n^2) float32
    numbers per m x n matrix.

    Args:
        learning_rate: eta; 0.003 as in the paper.
        beta_1: Decay rate of the average of gradients; from the paper.
        beta_2: Decay rate of the averages of squares and of L and R; from the paper.
        epsilon: 1e-8 as in the paper.
        precondition_frequency: Steps between two updates of P and Q; from the paper.
        max_preconditioner_size: Leaves out P or Q if the matrix has more rows or columns; 1,000.
            The authors' code has 10,000, for GPUs: at 3,000 an update takes a CPU seconds.
        **kwargs: Arguments of keras.optimizers.Optimizer.

    Raises:
        ValueError: If a number is outside of its range.

    References:
        Vyas et al., SOAP: Improving and Stabilizing Shampoo using Adam, ICLR 2025,
        algorithms 3 and 4.

    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.003,
        beta_1: float = 0.95,
        beta_2: float = 0.95,
        epsilon: float = 1e-8,
        precondition_frequency: int = 10,
        max_preconditioner_size: int = 1_000,
        **kwargs: Any,
    ) -> None:
        frequency = precondition_frequency
        if not (isinstance(frequency, int) and frequency >= 1):
            raise ValueError(
                f"Received precondition_frequency={frequency!r}; expected a whole number from 1."
            )
        hyperparameters = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        hyperparameters |= {
            "precondition_frequency": frequency,
            "max_preconditioner_size": max_preconditioner_size,
        }
        super().__init__(learning_rate, hyperparameters, **kwargs)

    def build(self, variables: list[Any]) -> None:
        """Create the slots and the preconditioners of every matrix."""
        if self.built:
            return
        super().build(variables)
        self._preconditioners = [self._make_preconditioners(variable) for variable in variables]

    def _make_preconditioners(self, variable: Any) -> list[Preconditioner | None]:
        """Make the preconditioners of rows and columns; None for an axis that is too large."""
        shape = _matrix_shape(variable)
        if len(variable.shape) < 2:
            return [None, None]
        return [
            Preconditioner(
                self.add_variable((size, size), "zeros", "float32", name=f"{name}_factor"),
                self.add_variable((size, size), "identity", "float32", name=f"{name}_basis"),
            )
            if size <= self.max_preconditioner_size
            else None
            for name, size in zip(("rows", "columns"), shape, strict=True)
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply algorithm 3 to one variable."""
        momentum, velocity = self.state(variable)
        preconditioners = self._preconditioners[self._get_variable_index(variable)]
        shape = _matrix_shape(variable)
        g = ops.reshape(ops.cast(self.cast(gradient, variable), "float32"), shape)
        has_begun = ops.cast(self.iterations > 0, "float32")
        # M <- beta_1 M + (1 - beta_1) G
        m = moving_average(_matrix(momentum, shape), has_begun * g, self.beta_1)
        # V <- beta_2 V + (1 - beta_2) G'^2
        rotated = _rotate(has_begun * g, preconditioners)
        v = moving_average(_matrix(velocity, shape), ops.square(rotated), self.beta_2)
        self.assign(momentum, ops.reshape(m, variable.shape))
        self.assign(velocity, ops.reshape(v, variable.shape))
        m_hat, v_hat = (
            average / self._bias_correction_without_first_step(beta)
            for average, beta in ((_rotate(m, preconditioners), self.beta_1), (v, self.beta_2))
        )
        # W <- W - eta P (M'_hat / (sqrt(V_hat) + epsilon)) Q^T
        step = _rotate(m_hat / (ops.sqrt(v_hat) + self.epsilon), preconditioners, inverse=True)
        step = self.cast(ops.reshape(step, variable.shape), variable)
        self.assign_sub(variable, self.cast(learning_rate, variable) * step)
        for preconditioner, matrix in zip(preconditioners, (g, ops.transpose(g)), strict=True):
            if preconditioner is not None:
                self._update_preconditioner(preconditioner, matrix @ ops.transpose(matrix))

    def _bias_correction_without_first_step(self, beta: float) -> Any:
        """Return the divisor of an average that starts in the second step; above 0 in the first."""
        return ops.maximum(self.bias_correction(beta, skipped_steps=1), 1 - beta)

    def _update_preconditioner(self, preconditioner: Preconditioner, outer_product: Any) -> None:
        # L <- beta_2 L + (1 - beta_2) G G^T
        factor = moving_average(preconditioner.factor, outer_product, self.beta_2)
        self.assign(preconditioner.factor, factor)
        is_due = ops.equal(self.iterations % self.precondition_frequency, 0)
        basis = ops.convert_to_tensor(preconditioner.basis)
        # P <- QR(L P), the paper's algorithm 4. At first P holds the eigenvectors of L, the largest
        # eigenvalue first as in the authors' code: its rounding errors dominate L P, and QR changes
        # the first column least.
        new_basis = ops.cond(
            is_due,
            lambda: ops.cond(
                self.iterations > 0,
                lambda: ops.qr(factor @ basis)[0],
                lambda: ops.flip(ops.eigh(factor)[1], axis=1),
            ),
            lambda: basis,
        )
        self.assign(preconditioner.basis, new_basis)


def _matrix_shape(variable: Any) -> tuple[int, int]:
    """Return rows and columns of a variable; a vector and a number are one row."""
    *rows, columns = (1, 1, *variable.shape) if len(variable.shape) < 2 else variable.shape
    return math.prod(rows), columns


def _matrix(value: Any, shape: tuple[int, int]) -> Any:
    return ops.reshape(ops.cast(value, "float32"), shape)


def _rotate(
    value: Any, preconditioners: list[Preconditioner | None], *, inverse: bool = False
) -> Any:
    """Compute P^T value Q, or P value Q^T with `inverse`."""
    rows, columns = (one and ops.convert_to_tensor(one.basis) for one in preconditioners)
    if rows is not None:
        value = (rows if inverse else ops.transpose(rows)) @ value
    if columns is not None:
        value = value @ (ops.transpose(columns) if inverse else columns)
    return value
