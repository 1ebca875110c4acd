"""The report of the runs of several seeds."""

import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import apps
from apps.metrics import metric
from evaluation import console_tables, seed_tables
from evaluation.decisive import decisive_metrics
from evaluation.run_report import page, public
from evaluation.run_report.tables import picture, table
from pipelines.files import atomic_write
from training.run import write_text

FILES = {"report": "report.html", "figure": "seeds.png"}
Summary = Mapping[str, Any]  # the content of seeds.json


def write(directory: Path, summary: Summary) -> dict[str, Path]:
    """Write the report of several seeds, and return the paths of its files."""
    with atomic_write(directory / FILES["figure"]) as temporary:
        _draw(summary, temporary)
    text = _page(directory, summary, (directory / FILES["figure"]).read_bytes())
    write_text(directory / FILES["report"], text.encode("utf-8", "backslashreplace").decode())
    return {name: directory / file for name, file in FILES.items()}


def _page(directory: Path, summary: Summary, figure: bytes) -> str:
    address = public.address(summary["fields"]["data"])
    about = apps.summary(apps.get(summary["app"]))
    content = {
        "title": f"{summary['app']}, {len(summary['runs'])} seeds, {directory.name}",
        "about": about,
        "data": {"address": address},
        "verdict": summary["verdict"],
        "findings": summary["findings"],
    }
    return page.document(content, _body(summary, figure))


def _body(summary: Summary, figure: bytes) -> Iterator[str]:
    yield "<h2>Seeds</h2>"
    columns, rows, title = seed_tables.runs_table(summary)
    yield f'<p class="faint">{html.escape(title)}</p>'
    yield from table(columns, rows)
    yield picture("Score of each seed", figure)
    columns, rows, title = seed_tables.variance_table(summary)
    yield "<h2>Variance</h2>"
    yield f'<p class="faint">{html.escape(title)}</p>'
    yield from table(columns, rows)
    columns, rows, _ = console_tables.comparison_table(dict(summary))
    if rows:
        yield "<h2>Gain over each baseline</h2>"
        yield (
            '<p class="faint">Gain of the mean over the seeds, with 95 % intervals over both '
            "sources: another seed and other test examples; p after Holm's correction for the "
            "number of baselines.</p>"
        )
        yield from table(columns, rows)
    yield from page.bullets("Limits", _limits(summary))


def _limits(summary: Summary) -> list[str]:
    limits = [
        "All seeds have the same splits, so the variance of another split of the data is not in "
        "it: train with --folds 5 for that.",
        "The scores are those of single models. Their mean is what a new training with another "
        "seed would reach, on average.",
    ]
    return [*limits, summary["note"]] if summary["note"] else limits


def _draw(summary: Summary, file: Path) -> None:
    """Draw the score and the interval of each seed, their mean, and the best baseline."""
    import matplotlib

    from evaluation.style import FAINT, FIRST, GREY, INK, SECOND, STYLE, pyplot

    name = decisive_metrics(summary["test"])[0]
    values = [row["test"][name] for row in summary["runs"]]
    lows, highs = zip(*(row["intervals"][name] for row in summary["runs"]), strict=True)
    with matplotlib.rc_context(STYLE):
        figure, axis = pyplot.subplots(figsize=(6, 0.32 * len(values) + 1.4), layout="constrained")
        rows = range(len(values))
        axis.hlines(rows, lows, highs, color=FAINT, linewidth=2)
        axis.plot(values, rows, "o", color=FIRST)
        axis.axvline(summary["test"][name], color=INK, linewidth=0.8, label="mean of the seeds")
        baselines = {
            title: row[name]
            for title, row in summary["baselines"].items()
            if name in row and title in summary["comparisons"]
        }
        if baselines:
            best = max(baselines, key=lambda title: metric(name).sign * baselines[title])
            title = f"best baseline: {best.replace('_', ' ')}"
            axis.axvline(baselines[best], color=SECOND, linewidth=0.8, linestyle="--", label=title)
        axis.set_yticks(rows, [f"seed {row['seed']}" for row in summary["runs"]])
        axis.invert_yaxis()
        axis.set_xlabel(f"{name}, with the 95 % interval of its test examples")
        figure.legend(loc="outside upper left", fontsize=8, ncols=2, labelcolor=GREY, frameon=False)
        figure.savefig(file, format="png", bbox_inches="tight")
        pyplot.close(figure)
