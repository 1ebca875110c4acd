"""Whether predicted probabilities are frequencies: Brier score, calibration error, reliability."""

from typing import Any

import numpy as np

from evaluation.intervals import wilson

NUM_BINS = 10  # with about the same number of predictions each
NUM_SIMULATIONS = 400
MAX_SIMULATED = 20_000  # predictions; more are sampled
LEVEL = 0.99  # of the calibration errors of a calibrated model


def no_calibration(predictions: Any) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing, for a task without probabilities."""
    return {}


def unchanged(predictions: Any, temperature: float) -> Any:  # noqa: ARG001
    """Return the predictions, for a task without probabilities."""
    return predictions


def not_covered(predictions: Any, wanted: Any) -> None:
    """Return nothing, for a task without intervals and sets."""


def calibration(confidence: np.ndarray, right: np.ndarray, brier: float) -> dict[str, Any]:
    """Compare the confidence of predictions with the share of right ones.

    The expected calibration error is the mean distance of both over bins of equally many
    predictions. It is above 0 for a calibrated model, too; `ece_of_calibrated` is the value that
    99 % of the calibrated models with the same confidences stay below, by simulation.

    Args:
        confidence: predicted probabilities, [n].
        right: whether each came true, [n].
        brier: mean squared distance of all probabilities from the truth.

    References:
        Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
        Binning", AAAI 2015.
        Vaicenavicius et al., "Evaluating Model Calibration in Classification", AISTATS 2019.

    """
    order = np.argsort(confidence, kind="stable")
    confidence, right = confidence[order].astype("float64"), right[order].astype("float64")
    bins = [part for part in np.array_split(np.arange(len(order)), NUM_BINS) if len(part)]
    return {
        "brier": brier,
        "ece": _calibration_error(confidence, right),
        "ece_of_calibrated": _error_of_calibrated(confidence),
        "confidence": float(confidence.mean()),
        "right": float(right.mean()),
        "bins": [_bin(confidence[part], right[part]) for part in bins],
    }


def _bin(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    share = float(right.mean())
    return {
        "confidence": float(confidence.mean()),
        "right": share,
        "interval": [*wilson(share, len(right))],
        "predictions": len(right),
    }


def _calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Compute the calibration error of sorted predictions."""
    sums = [part.sum() for part in np.array_split(right - confidence, NUM_BINS)]
    return float(np.abs(sums).sum() / len(right))


def _error_of_calibrated(confidence: np.ndarray, seed: int = 0) -> float:
    step = -(-len(confidence) // MAX_SIMULATED)
    sample, random = confidence[::step], np.random.default_rng(seed)
    errors = [
        _calibration_error(sample, random.random(len(sample)) < sample)
        for _ in range(NUM_SIMULATIONS)
    ]
    # Fewer predictions have larger errors, in proportion to the root of their number.
    return float(np.quantile(errors, LEVEL) * np.sqrt(len(sample) / len(confidence)))


def draw(found: dict[str, Any]) -> Any:
    """Draw the share of right predictions against their confidence."""
    from evaluation.style import FIRST, INK, pyplot

    figure, axis = pyplot.subplots(figsize=(4.6, 4.4), layout="constrained")
    axis.plot([0, 1], [0, 1], color=INK, linewidth=0.8, label="calibrated")
    bins = found["bins"]
    shares = np.array([one["right"] for one in bins])
    low, high = np.array([one["interval"] for one in bins]).T
    axis.errorbar(
        [one["confidence"] for one in bins],
        shares,
        yerr=[shares - low, high - shares],
        fmt="o",
        color=FIRST,
        markersize=4,
        linewidth=1,
        label="predictions, in bins of equal size",
    )
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axis.set(xlabel="confidence", ylabel="share of right predictions")
    axis.set_title(f"Calibration error {found['ece']:.3f}", fontsize=10)
    axis.legend(frameon=False, loc="upper left")
    return figure
