"""Files and directories may be called anything that the file system takes."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from apps import Mnist
from inference import saved_graph
from inference.servable import Servable
from training.run import Run

ROWS = "\n".join(f"{k % 13},{k * k % 17},{k % 13 + k % 5}" for k in range(120))
NAMES = {
    "pattern": "[1] a*b? {c}",
    "address": "csv:x=y, z; #1%20&2",
    "letters": "Größe 数据 🍎 e\u0301",
    "flag": "--seed",
    "lines": "two\nlines",
    "backslash": "back\\slash",
    "bytes": os.fsdecode(b"caf\xe9"),
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
    assert saved_graph.is_current(Run.load(run))
    assert len(list((run / "logs").rglob("events.*"))) > 0
    status, said, told = ask("export", run, "--json")
    assert status == 0, told
    version = Path(json.loads(said)["export"])
    assert {"serving_default"} <= {*Servable(version, 1).signatures}


@pytest.mark.parametrize("name", ["a[1]", "b*c", "d?e", "with blanks", "数据"])
def test_a_pattern_is_not_taken_for_its_matches(name, exported, tmp_path):
    """TensorFlow would read `b*c` as every directory whose name begins with b and ends with c."""
    kept = exported(Mnist).path / "export" / "1"
    shutil.copytree(kept, tmp_path / name)
    shutil.copytree(kept, tmp_path / name.replace("*", "12").replace("?", "1"), dirs_exist_ok=True)
    pixels = {"pixels": Run.load(kept.parents[1]).samples.raw[:2]}
    answers = [
        one.run(one.signature(None), pixels)["probabilities"]
        for one in (Servable(place, 1) for place in (kept, tmp_path / name))
    ]
    np.testing.assert_array_equal(*answers)
