"""Notes of `predict` on cells that it cannot read, and on unknown categories."""

import json

import pytest


@pytest.fixture
def houses(tmp_path, run_cli):
    """A run with a column of numbers, one of categories and one of dates."""
    lines = [
        f"{100 + k},{('Oslo', 'Rome', 'Bern')[k % 3]},{k % 28 + 1}.3.2019,{300 + 3 * k}"
        for k in range(90)
    ]
    (tmp_path / "houses.csv").write_text("\n".join(["size,town,sold,price", *lines, ""]))
    flags = ["--data", f"csv:{tmp_path / 'houses.csv'}", "--target", "price", "--model", "linear"]
    status, out, err = run_cli("regression", "train", *flags, "--run-dir", tmp_path / "run")
    assert status == 0, err
    assert "sold: time, in days ('1.3.2019' read as 2019-03-01)" in out + err
    return tmp_path / "run"


def test_predict_reports_cells_that_it_cannot_read(houses, tmp_path, run_cli):
    table = tmp_path / "ask.csv"
    table.write_text(
        'size,town,sold\n1000,Rome,2019-03-05\n"1,000",Rome,5 March 2019\nabc,Mars,soon\n,Rome,\n'
    )
    status, out, err = run_cli("regression", "predict", houses, table, "--json")
    assert status == 0, err
    result = json.loads(out)
    first, second, *_ = (row["value"] for row in result["predictions"])
    assert first == second
    assert result["notes"] == [
        "column size: 1 cell such as 'abc' (ask.csv line 4) is not a number and counted as missing",
        "column town: 1 cell such as 'Mars' (ask.csv line 4) is unknown to training",
        "column sold: 1 cell such as 'soon' (ask.csv line 4) is not a date and counted as missing",
    ]
    assert "'abc' (ask.csv line 4)" in err


def test_examples_of_a_run_are_read_as_in_training(houses, run_cli):
    from inference.predict import examples
    from training.run import Run

    run = Run.load(houses)
    expected = run.model(dict(run.splits.test.numpy(slice(0, 3)).features))
    (path,) = examples(run)
    status, out, err = run_cli("regression", "predict", houses, path, "--json")
    assert status == 0, err
    result = json.loads(out)
    assert result["notes"] == []
    predicted = [row["value"] for row in result["predictions"]]
    assert predicted == pytest.approx(expected.numpy().tolist(), rel=1e-5)
