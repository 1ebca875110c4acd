"""Findings about the luck of a seed, for a run and for the runs of several seeds."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from apps.metrics import metric
from evaluation.decisive import decisive_metrics, worthwhile_gain
from evaluation.findings import Finding
from evaluation.rounding import decimals, rounded
from training import seed_runs
from training.run import Run

LUCKY_SEED, SEED_WITHOUT_EFFECT = "lucky_seed", "seed_without_effect"
Summary = Mapping[str, Any]  # the content of seeds.json


def of_group(summary: Summary) -> list[Finding]:
    """Return the findings about the runs of several seeds, the most important first."""
    return [*_of_verdicts(summary), *_of_lucky_runs(summary), *_of_equal_scores(summary)]


def with_group(run: Run, scores: dict[str, Any]) -> dict[str, Any]:
    """Return the content of scores.json with what the other seeds of a run tell about it.

    A run without other seeds beside it keeps its content.
    """
    summary = seed_runs.group_of(run)
    if summary is None:
        return scores
    name = decisive_metrics(summary["test"])[0]
    others = [one for one in scores["findings"] if one["kind"] != LUCKY_SEED]
    own = [one.to_json() for one in _of_run(run.path.name, summary)]
    about = {
        "seed": run.manifest["fields"]["seed"],
        "runs": len(summary["runs"]),
        "metric": name,
        **{key: summary["variance"][name][key] for key in ("mean", "spread", "share")},
        "verdict": summary["verdict"]["text"],
    }
    return scores | {"seeds": about, "findings": [*own, *others]}


def is_lucky(row: Mapping[str, Any], summary: Summary) -> bool:
    """Whether the score of a run is far above the mean of all seeds.

    Far is more than a standard deviation, and more than a worthwhile gain.
    """
    name = decisive_metrics(summary["test"])[0]
    mean, spread = summary["test"][name], summary["variance"][name]["spread"]
    gap = metric(name).sign * (row["test"][name] - mean)
    return bool(gap > max(spread, worthwhile_gain(name, mean)))


def _of_run(run: str, summary: Summary) -> Iterator[Finding]:
    row = next(one for one in summary["runs"] if one["run"] == run)
    outcome = summary["verdict"]["outcome"]
    if is_lucky(row, summary):
        yield Finding(
            LUCKY_SEED,
            f"This run is a lucky one: {_scores(row, summary)}. Expect the mean of new examples, "
            "not the score of this run.",
        )
    elif row["outcome"] == "better" and outcome != "better":
        yield Finding(
            LUCKY_SEED,
            "This run is better than the best baseline, but that depends on the seed: over "
            f"{len(summary['runs'])} seeds the verdict is {outcome}, {_scores(row, summary)}. "
            "Judge by all seeds.",
        )


def _of_verdicts(summary: Summary) -> Iterator[Finding]:
    counts = Counter(row["outcome"] for row in summary["runs"])
    if len(counts) > 1:
        of_seeds = ", ".join(f"{outcome} for {count}" for outcome, count in counts.most_common())
        yield Finding(
            LUCKY_SEED,
            f"The verdict of a single run depends on its seed: {of_seeds} of "
            f"{len(summary['runs'])} seeds. Judge by the mean of all, as above; a run chosen by "
            "its test score would flatter the model.",
        )


def _of_lucky_runs(summary: Summary) -> Iterator[Finding]:
    for row in summary["runs"]:
        if is_lucky(row, summary):
            yield Finding(
                LUCKY_SEED,
                f"Seed {row['seed']} is a lucky one: {_scores(row, summary)}. Report the mean; a "
                "model that is chosen by its test score looks better than it is.",
            )


def _of_equal_scores(summary: Summary) -> Iterator[Finding]:
    if not any(one["spread"] for one in summary["variance"].values()):
        yield Finding(
            SEED_WITHOUT_EFFECT,
            "All seeds have the same scores: this model does not depend on the seed. One run "
            "is enough.",
        )


def _scores(row: Mapping[str, Any], summary: Summary) -> str:
    name = decisive_metrics(summary["test"])[0]
    mean, spread = summary["test"][name], summary["variance"][name]["spread"]
    places = decimals(-spread, spread)
    own, middle, deviation = (rounded(one, places) for one in (row["test"][name], mean, spread))
    return f"its {name} is {own}, that of all seeds {middle} ± {deviation}"
