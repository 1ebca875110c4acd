"""The table of metrics: what it says, and that no other place repeats it."""

import ast
import re
from pathlib import Path

import pytest

from apps.metrics import METRICS, TARGET, VALIDATION, metric
from evaluation import rounding

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("apps", "cli", "data_checks", "evaluation", "exporting", "inference", "serving")
ROOMS += ("training", "tuning")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def test_every_metric_has_a_range_a_direction_and_a_format():
    for name, known in METRICS.items():
        assert known.name == name
        assert known.low < known.high
        assert known.mode == ("max" if known.sign == 1 else "min")
        if known.format == "fraction":
            assert (known.low, known.high, known.unit) == (0.0, 1.0, "")


def test_a_validation_score_has_the_metric_of_its_name():
    assert metric(f"{VALIDATION}rmse") is metric("rmse")


def test_errors_of_numbers_have_the_target_as_unit():
    assert METRICS["rmse"].unit == TARGET
    assert [metric(name).unit_for("price") for name in ("rmse", "loss", "r2")] == [
        "price",
        "nats",
        "",
    ]


@pytest.mark.parametrize(
    ("name", "difference", "shown"),
    [
        ("accuracy", 0.004, "0.4 points"),
        ("loss", 0.0123, "0.012 nats (loss)"),
        ("rmse", 1234.5, "1,200 (rmse)"),
        ("latency", 0.5, "0.5 ms (latency)"),
    ],
)
def test_a_difference_is_shown_in_the_format_of_its_metric(name, difference, shown):
    assert rounding.amount(difference, metric(name)) == shown


def test_no_other_module_lists_metrics_or_their_prefix():
    offenders = []
    for path in FILES:
        if path == ROOT / "apps" / "metrics.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value == VALIDATION:
                offenders.append(f"{path.relative_to(ROOT)}:{node.lineno} writes {VALIDATION!r}")
            if isinstance(node, ast.Tuple | ast.List | ast.Set) and len(node.elts) > 1:
                names = {getattr(one, "value", None) for one in node.elts}
                if names <= METRICS.keys():
                    offenders.append(f"{path.relative_to(ROOT)}:{node.lineno} lists {names}")
    assert not offenders, "look metrics up in apps/metrics.py"


def test_the_page_shows_fractions_in_per_cent():
    script = (ROOT / "serving" / "page" / "page.js").read_text()
    (names,) = re.findall(r"const FRACTIONS = \[(.*?)\]", script)
    fractions = re.findall(r'"(\w+)"', names)
    assert fractions and {metric(name).format for name in fractions} == {"fraction"}
