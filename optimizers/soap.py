"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

import math
from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from optimizers.rule import Rule, average


class Side(NamedTuple):
    """Of the rows or the columns of a matrix: the average of G G', and its eigenvectors."""

    factor: Any
    basis: Any


@keras.saving.register_keras_serializable("athanor")
class SOAP(Rule):
    """Adam on gradients that are turned to where their coordinates are independent.

        G' = P^T G Q
        M <- beta_1 M + (1 - beta_1) G
        V <- beta_2 V + (1 - beta_2) G'^2
        W <- W - eta P (M'_hat / (sqrt(V_hat) + epsilon)) Q^T     with M' = P^T M Q
        L <- beta_2 L + (1 - beta_2) G G^T
        R <- beta_2 R + (1 - beta_2) G^T G
        P, Q <- QR(L P), QR(R Q)      every `frequency` steps; at first eigenvectors of L, R

    Kernels of convolutions are matrices with their last axis as columns; vectors are left to
    Adam. The first step changes no weight: it finds where to turn to. Choose it where
    steps are dear and layers not wider than a thousand; the paper needs fewer of them
    than AdamW. Keeps two arrays a variable, and of an m x n matrix 2 (m^2 + n^2) numbers
    in float32.

    Args:
        learning_rate: eta; 0.003, the paper's.
        beta_1: of the average of gradients; the paper's.
        beta_2: of the averages of squares and of L and R; the paper's.
        epsilon: 1e-8, the paper's.
        frequency: steps from one basis to the next; the paper's.
        largest: a side of more rows or columns is not turned; 1,000. The authors' code has
            10,000, for GPUs: at 3,000 a new basis takes a CPU seconds.
        **kwargs: as for keras.optimizers.Optimizer.

    Raises:
        ValueError: for numbers outside of their range.

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
        frequency: int = 10,
        largest: int = 1_000,
        **kwargs: Any,
    ) -> None:
        if not (isinstance(frequency, int) and frequency >= 1):
            raise ValueError(f"Received frequency={frequency!r}; expected a whole number from 1.")
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        own |= {"frequency": frequency, "largest": largest}
        super().__init__(learning_rate, own, **kwargs)

    def build(self, variables: list[Any]) -> None:
        """Slots, and the sides of every matrix."""
        if self.built:
            return
        super().build(variables)
        self._sides = [self._sides_of(variable) for variable in variables]

    def _sides_of(self, variable: Any) -> list[Side | None]:
        """Of the rows and of the columns; none where a side is not turned."""
        shape = _matrix_shape(variable)
        if len(variable.shape) < 2:
            return [None, None]
        return [
            Side(
                self.add_variable((size, size), "zeros", "float32", name=f"{name}_factor"),
                self.add_variable((size, size), "identity", "float32", name=f"{name}_basis"),
            )
            if size <= self.largest
            else None
            for name, size in zip(("rows", "columns"), shape, strict=True)
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Algorithm 3, for one variable."""
        momentum, velocity = self.state(variable)
        sides = self._sides[self._get_variable_index(variable)]
        shape = _matrix_shape(variable)
        g = ops.reshape(ops.cast(self.cast(gradient, variable), "float32"), shape)
        began = ops.cast(self.iterations > 0, "float32")
        # M <- beta_1 M + (1 - beta_1) G
        m = average(_matrix(momentum, shape), began * g, self.beta_1)
        # V <- beta_2 V + (1 - beta_2) G'^2
        turned = _turned(began * g, sides)
        v = average(_matrix(velocity, shape), ops.square(turned), self.beta_2)
        self.assign(momentum, ops.reshape(m, variable.shape))
        self.assign(velocity, ops.reshape(v, variable.shape))
        m_hat, v_hat = (
            some / ops.maximum(self.seen(beta, skipped=1), 1 - beta)  # 0 in the first step
            for some, beta in ((_turned(m, sides), self.beta_1), (v, self.beta_2))
        )
        # W <- W - eta P (M'_hat / (sqrt(V_hat) + epsilon)) Q^T
        step = _turned(m_hat / (ops.sqrt(v_hat) + self.epsilon), sides, back=True)
        step = self.cast(ops.reshape(step, variable.shape), variable)
        self.assign_sub(variable, self.cast(learning_rate, variable) * step)
        for side, one in zip(sides, (g, ops.transpose(g)), strict=True):
            if side is not None:
                self._follow(side, one @ ops.transpose(one))

    def _follow(self, side: Side, square: Any) -> None:
        # L <- beta_2 L + (1 - beta_2) G G^T
        factor = average(side.factor, square, self.beta_2)
        self.assign(side.factor, factor)
        due = ops.equal(self.iterations % self.frequency, 0)
        basis = ops.convert_to_tensor(side.basis)
        # P <- QR(L P), the paper's algorithm 4; at first eigenvectors of L, as in the authors'
        # code by falling value: L P rounds all as the largest, and QR takes the first as given.
        found = ops.cond(
            due,
            lambda: ops.cond(
                self.iterations > 0,
                lambda: ops.qr(factor @ basis)[0],
                lambda: ops.flip(ops.eigh(factor)[1], axis=1),
            ),
            lambda: basis,
        )
        self.assign(side.basis, found)


def _matrix_shape(variable: Any) -> tuple[int, int]:
    """Rows and columns of a variable; a vector and a number are one row."""
    *rows, columns = (1, 1, *variable.shape) if len(variable.shape) < 2 else variable.shape
    return math.prod(rows), columns


def _matrix(value: Any, shape: tuple[int, int]) -> Any:
    return ops.reshape(ops.cast(value, "float32"), shape)


def _turned(value: Any, sides: list[Side | None], *, back: bool = False) -> Any:
    """P^T value Q, or back P value Q^T."""
    rows, columns = (side and ops.convert_to_tensor(side.basis) for side in sides)
    if rows is not None:
        value = (rows if back else ops.transpose(rows)) @ value
    if columns is not None:
        value = value @ (ops.transpose(columns) if back else columns)
    return value
