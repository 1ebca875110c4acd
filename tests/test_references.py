"""Our optimizers equal those of optax and pytorch_optimizer that define the same rule.

Both take 200 steps: ours in float32, theirs in float64, so that only our rounding shows. Some
libraries add epsilon elsewhere; both then have the epsilon TINY. `make backends` runs this file,
which needs the extra `backends`.
"""

from types import SimpleNamespace
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from conformance.subject import START, gradient_sequence, weights_after
from optimizers import (
    LARS,
    SOAP,
    AdaBelief,
    Adan,
    CentralizedGradient,
    Lookahead,
    Nesterov,
    NovoGrad,
    Prodigy,
    RAdam,
    ScheduleFree,
    Yogi,
)

pytestmark = pytest.mark.slow
RATE = float(np.float32(0.01))  # as Keras stores it
STEPS = 200
TINY = 1e-30
SGD = keras.optimizers.SGD
# Keras's Adam is off by 1e-5 (docs/conformance.md), and adds epsilon before its bias correction.
ADAM_TOLERANCE = 1e-4


class Pair(NamedTuple):
    """Our optimizer, that of a library with the same rule, and the tolerance."""

    name: str
    ours: Any
    theirs: Any
    tolerance: float = 1e-6


OPTAX = [
    Pair("AdaBelief", lambda: AdaBelief(RATE), lambda o: o.adabelief(RATE, eps_root=1e-16)),
    # optax mixes up beta_2 and 1 - beta_2 in the momentum; at 0.5 they are equal.
    Pair("Adan", lambda: Adan(RATE, beta_2=0.5), lambda o: o.adan(RATE, b2=0.5, eps_root=0)),
    Pair("CentralizedGradient", lambda: CentralizedGradient(SGD(RATE)), lambda o: _centralized(o)),
    # With decay optax takes the norm of g + lambda w; the paper adds two norms.
    Pair("LARS", lambda: LARS(1.0), lambda o: o.lars(1.0, trust_ratio_mask=[True, False])),
    Pair("Lookahead", lambda: Lookahead(SGD(RATE)), lambda o: o.lookahead(o.sgd(RATE), 5, 0.5)),
    Pair("Nesterov", lambda: Nesterov(RATE), lambda o: o.sgd(RATE, 0.9, nesterov=True)),
    Pair(
        "NovoGrad",
        lambda: NovoGrad(RATE, weight_decay=0.125),
        lambda o: o.novograd(RATE, b1=0.95, b2=0.98, eps=1e-8, weight_decay=0.125),
    ),
    # optax corrects Adam's bias, the paper does not; the learning rate undoes the correction.
    Pair(
        "Prodigy",
        lambda: Prodigy(epsilon=TINY, weight_decay=0.125),
        lambda o: o.contrib.prodigy(_without_correction, eps=TINY, weight_decay=0.125),
    ),
    Pair("RAdam", lambda: RAdam(RATE), lambda o: o.radam(RATE)),
    Pair(
        "ScheduleFree",
        lambda: ScheduleFree(SGD(RATE)),
        lambda o: o.contrib.schedule_free_sgd(RATE),
    ),
    Pair(
        "ScheduleFree-RAdam",
        lambda: ScheduleFree(RAdam(RATE, beta_1=0.0)),
        lambda o: o.contrib.schedule_free(o.radam(RATE, b1=0.0), RATE),
    ),
    Pair(
        "ScheduleFree-Adam",
        lambda: ScheduleFree(keras.optimizers.Adam(RATE, beta_1=0.0, epsilon=TINY)),
        lambda o: o.contrib.schedule_free_adamw(RATE, eps=TINY),
        ADAM_TOLERANCE,
    ),
    # The library starts the momentum, too, at the initial accumulator value.
    Pair(
        "Yogi",
        lambda: Yogi(RATE, initial_accumulator_value=0.0),
        lambda o: o.chain(o.scale_by_yogi(initial_accumulator_value=0.0), o.scale(-RATE)),
    ),
]
PYTORCH = [
    Pair("AdaBelief", lambda: AdaBelief(RATE), lambda p, w: p.AdaBelief(w, RATE)),
    Pair(
        "Adan",
        lambda: Adan(RATE, weight_decay=0.125),
        lambda p, w: p.Adan(w, RATE, weight_decay=0.125),
    ),
    Pair(
        "LARS",
        lambda: LARS(1.0, weight_decay=0.125),
        lambda p, w: p.LARS(w, 1.0, weight_decay=0.125),
    ),
    Pair(
        "Lookahead",
        lambda: Lookahead(SGD(RATE)),
        lambda p, w: p.Lookahead(p.torch.optim.SGD(w, RATE)),
    ),
    Pair(
        "Nesterov",
        lambda: Nesterov(RATE),
        lambda p, w: p.torch.optim.SGD(w, RATE, 0.9, nesterov=True),
    ),
    Pair(
        "NovoGrad",
        lambda: NovoGrad(RATE, weight_decay=0.125),
        lambda p, w: p.NovoGrad(w, RATE, weight_decay=0.125),
    ),
    Pair(
        "Prodigy",
        lambda: Prodigy(epsilon=TINY, weight_decay=0.125),
        lambda p, w: p.Prodigy(w, eps=TINY, weight_decay=0.125),
    ),
    Pair(
        "RAdam",
        lambda: RAdam(RATE, epsilon=TINY),
        lambda p, w: p.RAdam(w, RATE, eps=TINY, degenerated_to_sgd=True),
    ),
    Pair(
        "RAdam-torch",
        lambda: RAdam(RATE, epsilon=TINY),
        lambda p, w: p.torch.optim.RAdam(w, RATE, eps=TINY),
    ),
    Pair("ScheduleFree", lambda: ScheduleFree(SGD(RATE)), lambda p, w: p.ScheduleFreeSGD(w, RATE)),
    # The library sorts the bases before each QR; the paper does not. At period 50 nothing changes.
    Pair(
        "SOAP",
        lambda: SOAP(RATE, epsilon=TINY, precondition_frequency=50),
        lambda p, w: p.SOAP(w, RATE, weight_decay=0.0, eps=TINY, precondition_frequency=50),
    ),
    # The library starts the momentum, too, at the initial accumulator value.
    Pair(
        "Yogi",
        lambda: Yogi(RATE, initial_accumulator_value=0.0),
        lambda p, w: p.Yogi(w, RATE, initial_accumulator=0.0),
    ),
]


def _centralized(optax):
    """Transpose gradients: optax averages over all axes but the first, the outputs in PyTorch."""
    transpose = optax.stateless(lambda gradients, _: [gradient.T for gradient in gradients])
    return optax.chain(transpose, optax.centralize(), transpose, optax.sgd(RATE))


def _without_correction(count):
    return (1 - 0.9 ** (count + 1)) / (1 - 0.999 ** (count + 1)) ** 0.5


def assert_equal(pair, theirs):
    ours = weights_after(pair.ours(), STEPS)
    moved = max(np.abs(one - start).max() for one, start in zip(theirs, START, strict=True))
    assert moved > 1e-3
    for one, other in zip(ours, theirs, strict=True):
        assert np.abs(one - other).max() <= pair.tolerance * np.abs(other).max()


@pytest.mark.parametrize("pair", OPTAX, ids=lambda pair: pair.name)
def test_equals_optax(pair):
    jax = pytest.importorskip("jax", reason="needs JAX: make backends")
    optax = pytest.importorskip("optax", reason="needs optax: make backends")
    gradient = gradient_sequence()
    with jax.enable_x64(True):
        rule = pair.theirs(optax)
        weights = [jax.numpy.asarray(one, "float64") for one in START]
        if pair.name == "Lookahead":
            weights = optax.LookaheadParams.init_synced(weights)
        state, update = rule.init(weights), jax.jit(rule.update)
        for _ in range(STEPS):
            gradients_at = gradient(getattr(weights, "fast", weights))
            updates, state = update(
                [jax.numpy.asarray(one) for one in gradients_at], state, weights
            )
            weights = optax.apply_updates(weights, updates)
        assert_equal(pair, [np.asarray(one) for one in getattr(weights, "fast", weights)])


@pytest.mark.parametrize("pair", PYTORCH, ids=lambda pair: pair.name)
def test_equals_pytorch(pair):
    torch = pytest.importorskip("torch", reason="needs PyTorch: make backends")
    library = pytest.importorskip("pytorch_optimizer", reason="needs it: make backends")
    gradient = gradient_sequence()
    torch.set_default_dtype(torch.float64)
    try:
        weights = [torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in START]
        rule = pair.theirs(SimpleNamespace(**vars(library) | {"torch": torch}), weights)
        for _ in range(STEPS):
            gradients_at = gradient([one.detach().numpy() for one in weights])
            for one, slope in zip(weights, gradients_at, strict=True):
                one.grad = torch.tensor(slope)
            rule.step()
    finally:
        torch.set_default_dtype(torch.float32)
    assert_equal(pair, [one.detach().numpy() for one in weights])
