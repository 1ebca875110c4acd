"""The launcher: lines, statuses, signals and restarts, of workers that need no TensorFlow."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from training.directory import MARKER_FILE, MARKER_TEXT
from training.distributed import launch
from training.distributed.cluster import LostError
from training.run import CHECKPOINT

ME = "import json, os; me = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"


def worker(code):
    return [sys.executable, "-c", ME + code]


def started(code, before="pass", **options):
    """Start a launcher in a separate process, to which a test may send signals."""
    call = f"launch.launch([sys.executable, '-c', {ME + code!r}], workers=2, **{options!r})"
    body = f"import sys; from training.distributed import launch\n{before}\n{call}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", body], **pipes)


def test_every_line_begins_with_the_number_of_its_worker(capfd):
    launch.launch(
        worker("import sys\nprint('one\\ntwo')\nprint('three', file=sys.stderr)"), workers=2
    )
    said, complained = capfd.readouterr()
    assert sorted(said.splitlines()) == ["[0] one", "[0] two", "[1] one", "[1] two"]
    assert sorted(complained.splitlines()) == ["[0] three", "[1] three"]


def test_json_output_of_the_chief_is_unchanged(capfd):
    launch.launch(worker("if me == 0: print(json.dumps({'a': 1}))"), workers=3, plain=True)
    assert json.loads(capfd.readouterr().out) == {"a": 1}


def test_workers_find_each_other():
    addresses = launch.free_addresses(3)
    assert len(set(addresses)) == 3
    configs = [json.loads(launch.environment(addresses, n)["TF_CONFIG"]) for n in range(3)]
    assert [config["task"] for config in configs] == [
        {"type": "worker", "index": n} for n in range(3)
    ]
    assert all(config["cluster"] == {"worker": addresses} for config in configs)


@pytest.mark.parametrize(
    ("visible", "workers", "parts"),
    [("0,1,2,3", 2, ["0,1", "2,3"]), ("0", 2, ["", ""]), ("", 2, [None, None])],
)
def test_gpus_are_divided(monkeypatch, visible, workers, parts):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    shared = [launch.gpus(n, workers, shared=True) for n in range(workers)]
    assert all(one.get("CUDA_VISIBLE_DEVICES") for one in shared) == bool(visible)
    found = [launch.gpus(n, workers).get("CUDA_VISIBLE_DEVICES") for n in range(workers)]
    assert found == parts


@pytest.mark.parametrize("failing", [0, 1])
def test_one_failure_ends_all_and_is_the_status(failing, capfd, monkeypatch):
    monkeypatch.setattr(launch, "EXIT_GRACE_SECONDS", 0.5)
    code = f"import sys, time\nif me == {failing}: sys.exit(2)\ntime.sleep(60)"
    start = time.monotonic()
    with pytest.raises(
        launch.WorkerError, match=f"Worker {failing} failed with status 2"
    ) as raised:
        launch.launch(worker(code), workers=2)
    assert raised.value.exit_status == 2
    assert time.monotonic() - start < 10
    assert "starting all again" not in capfd.readouterr().err


def test_the_chief_may_write_a_checkpoint_before_it_is_stopped(capfd):
    code = "import sys, time\nif me: sys.exit(1)\ntime.sleep(1); print('kept'); sys.exit(1)"
    with pytest.raises(launch.WorkerError, match="Worker 1 failed with status 1"):
        launch.launch(worker(code), workers=2)
    assert capfd.readouterr().out == "[0] kept\n"


def test_the_cause_of_a_failure_is_reported_not_its_consequences():
    status = LostError.exit_status
    code = f"import sys, time\nif me == 0: sys.exit({status})\ntime.sleep(0.5); sys.exit(1)"
    with pytest.raises(launch.WorkerError, match="Worker 1 failed with status 1"):
        launch.launch(worker(code), workers=2)


def test_workers_that_run_on_after_the_chief_are_ignored(monkeypatch):
    monkeypatch.setattr(launch, "EXIT_GRACE_SECONDS", 0.3)
    launch.launch(worker("import time\nif me: time.sleep(60)"), workers=2)


def test_workers_ended_by_a_signal_are_restarted(tmp_path, capfd):
    place = tmp_path / "run"
    code = f"""import pathlib, signal, time
run = pathlib.Path({str(place)!r})
again = pathlib.Path({str(tmp_path / "again")!r})
kept = run / "kept.txt"
if me == 0:
    run.mkdir(exist_ok=True)  # the second start finds what the first one left
    kept.open("a").write("once ")
if me == 1 and not again.exists():
    while not (kept.exists() and kept.read_text()):
        time.sleep(0.01)
    again.touch()
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0.3)
"""
    launch.launch(worker(code), workers=2, run_dir=place)
    err = capfd.readouterr().err
    assert "Worker 1 was ended by SIGKILL; starting all again (1 of 3)." in err
    assert (place / "kept.txt").read_text() == "once once "


def test_the_number_of_restarts_is_limited(capfd):
    code = "import time\nif me == 1: os.kill(os.getpid(), 9)\ntime.sleep(60)"
    with pytest.raises(launch.WorkerError, match="after 2 restarts") as raised:
        launch.launch(worker(code), workers=2, restarts=2)
    assert raised.value.exit_status == 128 + signal.SIGKILL
    assert capfd.readouterr().err.count("starting all again") == 2


def test_a_finished_run_is_not_restarted(tmp_path, capfd):
    (tmp_path / "run.json").write_text("{}")
    code = "import signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(launch.WorkerError):
        launch.launch(worker(code), workers=2, run_dir=tmp_path)
    assert "starting" not in capfd.readouterr().err
    assert (tmp_path / "run.json").exists()


INTERRUPTED = {
    "app": "recommender",
    "question": "ids",
    "reading": {"user": "who", "item": "what", "rating": "", "time": ""},
    "answer": "ranking",
    "fields": {},
    "labels": [],
    "data": {"fingerprint": "", "spec": {}},
    "precision": {"policy": "float32"},
    "parameters": 1,
    "seconds": {"train": 1.0},
    "examples_per_second": 1.0,
    "strategy": "multiworker",
    "replicas": 2,
    "stopped": "interrupted",
    "epochs": 2,
}


def test_an_interrupted_run_is_restarted(tmp_path, capfd):
    (tmp_path / "run.json").write_text(json.dumps(INTERRUPTED))
    (tmp_path / CHECKPOINT).mkdir()
    (tmp_path / CHECKPOINT / "000001.checkpoint").touch()
    (tmp_path / MARKER_FILE).write_text(MARKER_TEXT)
    code = "import signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(launch.WorkerError, match="after 1 restarts"):
        launch.launch(worker(code), workers=2, run_dir=tmp_path, restarts=1)
    assert "starting all again" in capfd.readouterr().err


def test_nohup_ignores_the_end_of_the_terminal():
    process = started(
        "import time\nprint('ready', flush=True)\ntime.sleep(1)",
        before="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)",
    )
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    _, complained = process.communicate(timeout=20)
    assert (process.returncode, complained) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(number):
    code = """import signal, time
def told(number, frame):
    print("told", number, flush=True); os._exit(0)
signal.signal(signal.SIGINT, told); signal.signal(signal.SIGTERM, told)
print(os.getpid(), flush=True)
time.sleep(60)
"""
    process = started(code)
    lines = [process.stdout.readline(), process.stdout.readline()]
    process.send_signal(number)
    rest, _ = process.communicate(timeout=20)
    assert f"[0] told {int(number)}" in rest
    # Ctrl-C is for the chief; the other one waits in a step, and is ended.
    assert ("[1] told" in rest) == (number == signal.SIGTERM)
    for line in lines:
        with pytest.raises(ProcessLookupError):
            os.kill(int(line.split()[1]), 0)
    assert process.returncode


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ([], "no command"),
        (["mnist"], "expected APP train or APP check-distribute"),
        (["minst", "train"], "expected APP train or APP check-distribute"),
        (["mnist", "evaluate", "x"], "expected APP train or APP check-distribute"),
        (["mnist", "train", "--epoch", "3"], "Did you mean --epochs?"),
        (["mnist", "train", "--epochs", "0"], "expected at least 1"),
        (["--workers", "1", "mnist", "train"], "Received --workers 1; expected 2 to 256"),
        (["--restarts", "-1", "mnist", "train"], "Received --restarts -1; expected 0 to 1000"),
        (["mnist", "train", "--strategy", "mirrored"], "expected multiworker"),
        (["mnist", "train", "--devices", "2"], "Received --devices 2 for several workers"),
        (["mnist", "train", "--folds", "3"], "Received --folds 3 for several workers"),
        (["mnist", "train", "--run-dir", "/"], "which is not empty"),
    ],
)
def test_usage_errors_are_printed_once(run_cli, arguments, answer):
    status, out, err = run_cli("launch", *arguments)
    assert (status, out) == (2, "")
    assert answer in err
    assert len(err.splitlines()) == 1


def test_workers_get_the_command_and_one_directory(run_cli, monkeypatch, elsewhere):
    asked = {}

    def launched(command, **options):
        asked.update(options, command=command)
        assert (elsewhere / options["run_dir"]).is_dir()
        (elsewhere / options["run_dir"] / "run.json").touch()

    monkeypatch.setattr(launch, "launch", launched)
    command = ["mnist", "train", "--epochs", "2", "--json"]
    assert run_cli("launch", "--workers", "3", *command) == (0, "", "")
    given = asked["command"][2:]
    assert given == [*command, "--strategy", "multiworker", "--run-dir", str(asked["run_dir"])]
    assert (asked["workers"], asked["restarts"], asked["plain"]) == (3, 3, True)


def test_the_launcher_imports_no_heavy_package():
    code = (
        "import sys, training.distributed.launch; from cli import main; "
        "main._run(['launch', 'mnist', 'train', '--x'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"tensorflow", "keras", "numpy"} & set(done.stdout.split())
