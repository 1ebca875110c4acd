"""Whether predicted probabilities are frequencies: Brier score, calibration error, reliability."""

from typing import Any

import numpy as np

from evaluation.intervals import TAILS, Interval, bca_of_sums, bootstrap_sums, wilson

NUM_BINS = 10  # with about the same number of predictions each
NUM_SIMULATIONS = 400
MAX_SIMULATED = 20_000  # predictions; more are sampled
LEVEL = 0.99  # of the calibration errors of a calibrated model
MIN_PER_BIN = 10  # predictions in a bin of the interval of the error
MIN_VARIANCE = 1e-6  # of whether one prediction is right
SPREADS = np.geomspace(1e-4, 0.5, 60)  # of the bins' gaps, that are tried
NUM_POSTERIOR_DRAWS = 4000


def no_calibration(predictions: Any) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing, for a task without probabilities."""
    return {}


def unchanged(predictions: Any, temperature: float) -> Any:  # noqa: ARG001
    """Return the predictions, for a task without probabilities."""
    return predictions


def not_covered(predictions: Any, wanted: Any) -> None:
    """Return nothing, for a task without intervals and sets."""


def calibration(confidence: np.ndarray, right: np.ndarray, squares: np.ndarray) -> dict[str, Any]:
    """Compare the confidence of predictions with the share of right ones.

    The expected calibration error is the mean distance of both over bins of equally many
    predictions. It is above 0 for a calibrated model, too; `ece_of_calibrated` is the value that
    99 % of the calibrated models with the same confidences stay below, by simulation.

    Args:
        confidence: predicted probabilities, [n].
        right: whether each came true, [n].
        squares: squared distance of each example's probabilities from the truth, [examples];
            their mean is the Brier score.

    References:
        Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
        Binning", AAAI 2015.
        Vaicenavicius et al., "Evaluating Model Calibration in Classification", AISTATS 2019.

    """
    order = np.argsort(confidence, kind="stable")
    confidence, right = confidence[order].astype("float64"), right[order].astype("float64")
    bins = [part for part in np.array_split(np.arange(len(order)), NUM_BINS) if len(part)]
    limit = _error_of_calibrated(confidence)
    return {
        "brier": float(squares.mean()),
        "brier_interval": [*_mean_interval(squares)],
        "ece": _calibration_error(confidence, right),
        "ece_interval": [*ece_interval(confidence, right, limit)],
        "ece_of_calibrated": limit,
        "confidence": float(confidence.mean()),
        "right": float(right.mean()),
        "bins": [_bin(confidence[part], right[part]) for part in bins],
    }


def _mean_interval(squares: np.ndarray) -> Interval:
    """Return the 95 % BCa interval of the Brier score."""

    def metrics(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {"brier": sums[..., 0] / sums[..., 1]}

    columns = np.stack([squares, np.ones(len(squares))], 1)
    return bca_of_sums(columns, metrics, metrics(bootstrap_sums(columns)))["brier"]


def ece_interval(confidence: np.ndarray, right: np.ndarray, limit: float) -> Interval:
    """Return a 95 % interval of the calibration error of sorted predictions.

    The plain error is too large, because the share of right predictions in a bin varies by chance.
    So the true gaps of the bins, with a common mean and spread, get a posterior (empirical Bayes
    over a grid of spreads). The interval begins at 0 if a calibrated model could have the error,
    `limit` at most.

    References:
        Morris, Parametric Empirical Bayes Inference, JASA 1983.

    """
    bins = np.array_split(np.arange(len(right)), max(1, min(NUM_BINS, len(right) // MIN_PER_BIN)))
    sizes = np.array([len(part) for part in bins])
    gaps = np.array([(right[part] - confidence[part]).mean() for part in bins])
    shares = np.array([(right[part].sum() + 2 * confidence[part].mean()) for part in bins])
    shares /= sizes + 2
    noise = np.maximum(shares * (1 - shares), MIN_VARIANCE) / sizes
    random = np.random.default_rng(0)
    errors = np.abs(_posterior_gaps(gaps, noise, random)) @ (sizes / len(right))
    low, high = np.clip(np.quantile(errors, TAILS), 0.0, 1.0)
    plain = _calibration_error(confidence, right)
    # The plain error, which is printed with it, is inside.
    return (0.0 if plain <= limit else min(float(low), plain), max(float(high), plain))


def _posterior_gaps(gaps: np.ndarray, noise: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw true gaps [draws, bins] of observed ones [bins] with variances `noise` [bins]."""
    variances = SPREADS[:, None] ** 2 + noise
    variance_of_mean = 1 / np.sum(1 / variances, 1)
    means = variance_of_mean * np.sum(gaps / variances, 1)
    log_weights = 0.5 * (
        np.log(variance_of_mean)
        - np.sum(np.log(variances) + (gaps - means[:, None]) ** 2 / variances, 1)
        + np.log(SPREADS)
    )
    weights = np.exp(log_weights - log_weights.max())
    drawn = random.choice(len(SPREADS), NUM_POSTERIOR_DRAWS, p=weights / weights.sum())
    mean = means[drawn] + np.sqrt(variance_of_mean[drawn]) * random.normal(size=len(drawn))
    trust = SPREADS[drawn, None] ** 2 / variances[drawn]
    expected = trust * gaps + (1 - trust) * mean[:, None]
    return expected + np.sqrt(trust * noise) * random.normal(size=expected.shape)


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
