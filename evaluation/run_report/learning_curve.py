"""The learning curve: a figure, and a section of the report."""

import html
from collections.abc import Iterator, Mapping
from typing import Any

from evaluation.learning_curve_text import FIGURE
from evaluation.rounding import with_interval
from evaluation.run_report.tables import picture, table
from pipelines.files import atomic_write
from training.run import Run


def section(content: Mapping[str, Any] | None, pictures: Mapping[str, bytes]) -> Iterator[str]:
    """Yield the section of the report; nothing without a learning curve."""
    if not content or FIGURE not in pictures:
        return
    yield f"<h2>More training examples</h2><p>{html.escape(content['text'])}</p>"
    yield (
        f'<p class="faint">{content["fits"]} models of each size, with other seeds and other '
        "examples, and the settings of this run; a power law with a floor. All are scored by the "
        "same test examples, and none is chosen by them. The forecast holds for more examples of "
        "the same kind.</p>"
    )
    rows = [
        [f"{one['examples']:,}", with_interval(one["score"], one["interval"])]
        for one in (content["now"], content["doubled"])
    ]
    yield from table(["training examples", content["metric"]], rows)
    yield picture("Learning curve", pictures[FIGURE])


def draw(run: Run, content: Mapping[str, Any]) -> None:
    """Draw the measured scores, the law and its interval into a file of the run."""
    import matplotlib

    from evaluation.style import FIRST, GREY, INK, SECOND, STYLE, pyplot

    curve, now = content["curve"], content["examples"]
    sizes = [one["examples"] for one in curve]
    with matplotlib.rc_context(STYLE):
        figure, axis = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
        low, high = zip(*(one["interval"] for one in curve), strict=True)
        axis.fill_between(sizes, low, high, color=FIRST, alpha=0.15, lw=0, label="95 % interval")
        axis.plot(sizes, [one["score"] for one in curve], color=FIRST, label="power law")
        points = content["points"]
        axis.plot(
            [one["examples"] for one in points],
            [one["score"] for one in points],
            "o",
            color=INK,
            markersize=4,
            label="trained models",
        )
        axis.axvline(now, color=GREY, linewidth=0.8, linestyle="--")
        doubled = content["doubled"]
        axis.plot(doubled["examples"], doubled["score"], "D", color=SECOND, label="twice as many")
        axis.set_xscale("log", base=2)
        ticks = [round(now * share) for share in (1 / 8, 1 / 4, 1 / 2, 1, 2)]
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel("training examples")
        axis.set_ylabel(content["metric"])
        axis.legend(fontsize=8, frameon=False)
        with atomic_write(run.path / FIGURE) as temporary:
            figure.savefig(temporary, format="png", bbox_inches="tight")
        pyplot.close(figure)
