"""Tables about the runs of several seeds, for the terminal and for the report."""

from collections.abc import Mapping
from typing import Any

from evaluation import console_tables
from evaluation.rounding import decimals, heading, rounded, with_spread

Table = tuple[list[str], list[list[str]], str]  # column names, rows and title
Summary = Mapping[str, Any]  # the content of seeds.json


def runs_table(summary: Summary) -> Table:
    """Return a row for each seed, and those of the baselines."""
    names, variance = list(summary["test"]), summary["variance"]
    places = {name: decimals(-variance[name]["spread"], variance[name]["spread"]) for name in names}
    rows = [
        [
            f"seed {row['seed']}",
            *(rounded(row["test"][name], places[name]) for name in names),
            row["outcome"],
        ]
        for row in summary["runs"]
    ]
    means = [with_spread(summary["test"][name], variance[name]["spread"]) for name in names]
    rows.append(["all seeds", *means, summary["verdict"]["outcome"]])
    for title, row in summary["baselines"].items():
        cells = [rounded(row[name], places[name]) if name in row else "" for name in names]
        rows.append([title.replace("_", " "), *cells, ""])
    columns = ["", *(heading(name, summary["units"]) for name in names), "against baselines"]
    return columns, rows, f"{summary['examples']:,} test examples; mean ± standard deviation"


def variance_table(summary: Summary) -> Table:
    """Return a row for each metric: its variance over seeds and over test examples."""
    rows = []
    for name, one in summary["variance"].items():
        low, high = one["interval"]
        places = decimals(low, high)
        spread, low, high = (rounded(value, places) for value in (one["spread"], low, high))
        part, least, most = (f"{value:.0%}" for value in (one["share"], *one["share_interval"]))
        rows.append(
            [
                heading(name, summary["units"]),
                f"{spread} [{low}, {high}]",
                rounded(one["sampling"], places),
                f"{part} [{least}, {most}]",
            ]
        )
    columns = ["", "over seeds", "over test examples", "share of the seed in the variance"]
    return columns, rows, "standard deviation of a score, with 95 % intervals"


def print_seeds(summary: Summary) -> None:
    """Print the scores of each seed, the variances, the verdict and the findings."""
    console_tables.print_columns(*runs_table(summary))
    console_tables.print_table(*variance_table(summary))
    print(summary["verdict"]["text"])
    for one in summary["findings"]:
        print(one["text"])
    if summary["note"]:
        print(summary["note"])
