"""Drift between training and test examples: oracle values, silence on random splits, shifts."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

import apps
from evaluation import drift
from evaluation.run_report import drift as drift_section
from inference.drift import reference
from inference.drift.columns import COMPARED
from inference.drift.known_values import KnownValues
from inference.drift.statistics import chi_square, holm, kolmogorov_smirnov, psi
from pipelines.examples import Examples
from pipelines.rows.packing import pack_columns
from pipelines.splits import Splits

KINDS = {f"x{k}": "number" for k in range(6)} | {"town": "category", "note": "text"}
TOWNS = np.array([b"Basel", b"Bern", b"Genf", b"Zug"], object)


def rows(count, seed, shift=0.0):
    """Rows whose first number is shifted by so many standard deviations."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(6, count))
    numbers[0] += shift
    numbers[1] = np.round(numbers[1])
    numbers[2][random.random(count) < 0.1] = np.nan
    columns = [*numbers, random.choice(TOWNS, count, p=[0.6, 0.3, 0.08, 0.02])]
    columns.append(np.array([b"a" * k for k in random.integers(0, 9, count)], object))
    target = random.normal(size=count)
    return Examples.of(pack_columns(columns, KINDS, count), target, kinds=KINDS)


def splits(train, test):
    return Splits(train, train.select(np.arange(1)), test)


def found(*parts):
    return drift.drift(splits(*parts), "row", {})


def kinds(result):
    return [one.kind for one in drift.drift_findings(result)]


def test_psi_of_known_shares():
    # (q - p) ln(q / p) over bins, with half an example more in each bin.
    expected = sum(
        (q - p) * np.log(q / p) for p, q in ((50.5 / 101, 80.5 / 101), (50.5 / 101, 20.5 / 101))
    )
    assert psi(np.array([50, 50]), np.array([80, 20])) == pytest.approx(expected)
    assert psi(np.array([7, 3]), np.array([7, 3])) == 0
    assert np.isfinite(psi(np.array([10, 0]), np.array([0, 10])))


def test_tests_are_those_of_scipy():
    random = np.random.default_rng(0)
    first, second = random.normal(size=400), random.normal(0.2, size=300)
    expected = stats.ks_2samp(first, second, method="asymp")
    result = kolmogorov_smirnov(first, second)
    assert (result.statistic, result.p) == (expected.statistic, expected.pvalue)
    counts = np.array([60, 30, 10]), np.array([40, 45, 15])
    expected = stats.chi2_contingency(np.stack(counts), correction=False)
    assert chi_square(*counts).p == pytest.approx(expected.pvalue)


def test_rare_bins_are_merged():
    many = np.array([50, 50, *[1] * 40])
    assert chi_square(many, np.array([50, 50, *[1] * 40])).p == 1
    assert chi_square(np.array([50]), np.array([40])).p == 1
    assert chi_square(np.array([50, 50]), np.array([0, 0])).p == 1


def test_missing_numbers_are_tested():
    numbers = np.random.default_rng(0).normal(size=500)
    gaps = np.where(np.arange(500) % 3 == 0, np.nan, numbers)
    assert kolmogorov_smirnov(numbers, gaps).p < 1e-6
    assert kolmogorov_smirnov(gaps, gaps).p == 1
    assert kolmogorov_smirnov(np.full(50, np.nan), numbers).p < 1e-6


def test_holm_corrects_for_the_number_of_columns():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_p_values_are_uniform_without_drift():
    results = [found(rows(300, 2 * seed), rows(100, 2 * seed + 1)) for seed in range(60)]
    values = np.array([row["p"] for one in results for row in one["columns"]])
    # Tests of discrete numbers are conservative.
    assert (values < 0.05).mean() <= 0.06
    assert (values < 0.5).mean() == pytest.approx(0.5, abs=0.12)


def test_silent_on_random_splits():
    spoken = [
        kinds(found(rows(count, 2 * seed), rows(count // 4, 2 * seed + 1)))
        for count in (200, 1000)
        for seed in range(50)
    ]
    assert sum(map(bool, spoken)) <= 5


def test_finds_a_shift_of_half_a_standard_deviation():
    for seed in range(20):
        result = found(rows(1000, 2 * seed), rows(1000, 2 * seed + 1, shift=0.5))
        (finding,) = drift.drift_findings(result)
        assert finding.kind == "drift"
        assert "in x0 (PSI 0." in finding.text
        assert "x3" not in finding.text


def test_new_category_and_longer_texts_are_found():
    train, test = rows(600, 0), rows(300, 1)
    test.columns["town"][:60] = b"Rome"
    test.columns["note"][:100] = b"a" * 40
    (finding,) = drift.drift_findings(found(train, test))
    assert "town" in finding.text
    assert "note" in finding.text
    html = "".join(drift_section.section(found(train, test)))
    assert "note (length)" in html
    assert "&lt;0.001" in html


def test_target_is_compared():
    train, test = rows(500, 0), rows(500, 1)
    test.target[:] += 1
    assert "(target)" in next(drift.drift_findings(found(train, test))).text


def test_groups_count_once():
    """Customers with 50 equal rows each: chance differences of few customers are no drift."""
    random = np.random.default_rng(0)
    spoken = 0
    for _ in range(20):
        customers = random.normal(size=(16, 6))
        numbers = [np.repeat(customers[:, k], 50) for k in range(6)]
        columns = [*numbers, np.repeat(TOWNS[:1], 800), np.repeat(TOWNS[:1], 800)]
        data = Examples.of(pack_columns(columns, KINDS, 800), np.zeros(800), kinds=KINDS)
        groups = np.repeat(np.arange(16, dtype="uint64"), 50)
        data = dataclasses.replace(data, group_hashes=groups)
        result = found(data.select(np.arange(600)), data.select(np.arange(600, 800)))
        assert (result["train"], result["test"]) == (12, 4)
        spoken += bool(kinds(result))
    assert spoken <= 1


def test_order_in_time_is_said():
    from pipelines.time_splits import TimeScheme

    parts = splits(rows(500, 0), rows(500, 1, shift=1.0))
    parts = dataclasses.replace(parts, scheme=TimeScheme("when", True, ""))
    (finding,) = drift.drift_findings(drift.drift(parts, "row", {"x0": "price"}))
    assert "some drift is natural" in finding.text
    assert "price" in finding.text


def test_images_texts_and_ids_are_compared():
    random = np.random.default_rng(0)
    images = [random.integers(0, 200, (300, 8, 8, 1), dtype="uint8") for _ in range(2)]
    parts = [Examples.of(one, random.integers(0, 2, 300)) for one in images]
    assert kinds(drift.drift(splits(*parts), "image", {})) == []
    parts[1] = Examples.of(images[1] + np.uint8(40), parts[1].target)
    assert "brightness" in next(drift.drift_findings(drift.drift(splits(*parts), "image", {}))).text
    words = np.array([b"red", b"green", b"blue", b"white"], object)

    def texts(more):
        made = [
            b" ".join([*random.choice(words, random.integers(1, 9)), *more]) for _ in range(400)
        ]
        return Examples.of(np.array(made, object), np.zeros(400))

    assert kinds(drift.drift(splits(texts([]), texts([])), "text", {})) == []
    result = drift.drift(splits(texts([]), texts([b"xylophone", b"quark"])), "text", {})
    assert "unknown words" in next(drift.drift_findings(result)).text

    def pairs(low, high):
        ids = [np.array([b"%d" % k for k in random.integers(low, high, 500)], object)] * 2
        return Examples.of({"user": ids[0], "item": ids[1]}, np.ones(500))

    assert kinds(drift.drift(splits(pairs(0, 20), pairs(0, 20)), "ids", {})) == []
    result = drift.drift(splits(pairs(0, 20), pairs(10, 30)), "ids", {})
    assert result["cold"]["user"] == pytest.approx(0.5, abs=0.1)
    assert "cold_start" in kinds(result)


def test_encoded_images_are_as_bright_as_their_pixels():
    import io

    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype="uint8")
    files = []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "png")
        files.append(file.getvalue())
    columns = COMPARED["image"].columns
    decoded = columns({"image_bytes": np.array([*files, b"none"], object)}, {})
    for name, expected in columns({"pixels": pixels}, {}).items():
        np.testing.assert_allclose(decoded[name][:3], expected, atol=1.5)
        assert np.isnan(decoded[name][3])


def test_known_values_are_found():
    values = [b"%d" % k for k in range(5000)]
    known = KnownValues.of(values)
    known = KnownValues.from_json(known.to_json())
    assert known.contain(values).all()
    assert known.contain([b"x%d" % k for k in range(5000)]).mean() < 0.1
    assert KnownValues.of(map(str.encode, map(str, range(100_000)))) is None


def test_bins_survive_json():
    for kind, column in (
        ("number", np.array([1.0, 2.0, np.nan, 3.5])),
        ("category", np.array([b"a", b"a", b"\xff"], object)),
        ("length", np.array([b"", b"abc"], object)),
    ):
        bins = reference.Bins.of("x", kind, column)
        copy = reference.Bins.from_json(json.loads(json.dumps(bins.to_json())))
        assert copy.histogram(column).tolist() == bins.counts.tolist()
        assert bins.counts.sum() == len(column)
        assert bins.size <= 21


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())
def test_run_has_a_reference_and_no_false_alarm(app, tiny_run, tmp_path, monkeypatch):
    from evaluation.tasks import task_of

    run = tiny_run(app)
    result = drift.of_run(run)
    assert result["columns"]
    assert "drift" not in kinds(result)
    monkeypatch.setattr(drift, "write_json", lambda path, content: written.append((path, content)))
    written = []
    drift.write_reference(run, task_of(run).predict_test_set(run))
    ((path, content),) = written
    assert path == run.path / reference.REFERENCE
    (tmp_path / path.name).write_text(json.dumps(content))
    stored = reference.read(tmp_path)
    assert stored.modality == run.modality
    assert all(one.counts.sum() > 0 for one in (*stored.inputs, *stored.outputs))


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"format": 1, "inputs": 3}'])
def test_damaged_reference_is_none(text, tmp_path):
    (tmp_path / reference.REFERENCE).write_text(text)
    assert reference.read(tmp_path) is None
