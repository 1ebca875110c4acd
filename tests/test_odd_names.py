"""Files and directories may be called anything that the file system takes."""

import json

import pytest

ROWS = "\n".join(f"{k % 13},{k * k % 17},{k % 13 + k % 5}" for k in range(120))
NAMES = {
    "pattern": "[1] a*b? {c}",
    "address": "csv:x=y, z; #1%20&2",
    "letters": "Größe 数据 🍎 e\u0301",
    "flag": "--seed",
    "lines": "two\nlines",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "pattern" else pytest.mark.thorough) for name in NAMES],
)
def test_a_run_is_trained_and_asked_where_names_are_odd(name, ask, elsewhere):
    place = elsewhere / NAMES[name]
    place.mkdir()
    table, run = place / f"{NAMES[name]}.csv", place / "run [a]"
    table.write_text(f"a,b,y\n{ROWS}\n")
    flags = ["--target", "y", "--model", "linear", "--precision", "float32"]
    status, said, told = ask(
        "regression", "train", "--data", f"csv:{table}", *flags, "--run-dir", run, "--json"
    )
    assert status == 0, told
    assert json.loads(said)["run"] == str(run)
    status, said, told = ask("predict", run, table, "--json")
    assert status == 0, told
    assert len(json.loads(said)["predictions"]) == 120
    status, _, told = ask("evaluate", run)
    assert status == 0, told
