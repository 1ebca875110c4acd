"""A fork replays an export as a separate process does; see forked.py."""

import subprocess
import sys

import forked
import numpy as np
import pytest

from apps import Mnist
from exporting import parity_check, replay
from inference.modalities import modality_of

ENDS = {
    "exit": ("import sys; print('said'); print('told', file=sys.stderr); sys.exit(3)", 3),
    "message": ("import sys; sys.exit('told')", 1),
    "error": ("raise ValueError('told')", 1),
    "signal": ("import os; os.kill(os.getpid(), 15)", -15),
    "what it finds": (
        "import json, os, sys\n"
        "print(sys.argv[1:], os.getcwd(), os.environ['MINE'], sys.path, sys.flags.isolated)\n"
        "print(__name__, sys.stdin.read() == '', 'athanor' in sys.modules, 'apps' in sys.modules)",
        0,
    ),
}
OPTIONS = {"capture_output": True, "text": True, "check": False}


@pytest.fixture
def both(monkeypatch):
    """A function that runs the same arguments in a process and in a fork."""
    monkeypatch.setenv("MINE", "of this test")

    def ran(words):
        return (
            subprocess.run(words, stdin=subprocess.DEVNULL, **OPTIONS),
            parity_check.subprocess.run(words, **OPTIONS),
        )

    return ran


@pytest.mark.parametrize("name", ENDS)
def test_a_fork_has_the_exit_status_of_a_process(name, both, elsewhere):
    code, status = ENDS[name]
    (elsewhere / "replay.py").write_text(code)
    real, fork = both([sys.executable, "-I", str(elsewhere / "replay.py"), "one", "ä two"])
    assert fork.returncode == real.returncode == status
    assert fork.stdout == real.stdout
    assert fork.stderr.splitlines()[-1:] == real.stderr.splitlines()[-1:]


@pytest.mark.thorough
def test_a_fork_prints_what_a_process_prints(exported, tmp_path):
    run = exported(Mnist)
    samples = modality_of(run).sample_inputs(run.samples.raw, run)
    inputs = {name: values for name, values in samples.items() if "/input/" in name}
    np.savez(tmp_path / "samples.npz", **inputs)
    answers = []
    for place in ("real", "forked"):
        words = [sys.executable, "-I", replay.__file__, str(run.path / "export" / "1")]
        words += [str(tmp_path / "samples.npz"), str(tmp_path / f"{place}.npz")]
        start = subprocess.run if place == "real" else parity_check.subprocess.run
        done = start(words, **OPTIONS)
        assert done.returncode == 0, done.stderr
        answers.append((done.stdout, dict(np.load(tmp_path / f"{place}.npz", allow_pickle=False))))
    (said, real), (also_said, fork) = answers
    assert said == also_said
    assert real.keys() == fork.keys()
    for name, values in real.items():
        np.testing.assert_array_equal(values, fork[name])


def test_other_programs_run_as_processes(elsewhere):
    (elsewhere / "other.py").write_text("import sys; print('tensorflow' in sys.modules)")
    done = forked.run([sys.executable, "-I", str(elsewhere / "other.py")], **OPTIONS)
    assert (done.returncode, done.stdout) == (0, "False\n")
