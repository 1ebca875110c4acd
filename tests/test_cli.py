"""The command line: exit statuses, short messages, and nothing written after a mistake."""

import gc
import json
import os
import shutil
import subprocess
import sys

import pytest

import apps
from apps import Mnist
from cli import output, training
from training.run import Run

TINY = ["--model", "softmax", "--epochs", "1", "--precision", "float32"]


MISTAKES = {
    "unknown flag": (["mnist", "train", "--epoch", "3"], ["--epoch", "--epochs"]),
    "unknown app": (["mnits", "train"], ["mnits", "mnist"]),
    "unknown verb": (["mnist", "trian"], ["trian", "train"]),
    "unknown model": (["mnist", "train", "--model", "cnm"], ["cnm", "cnn"]),
    "unknown optimizer": (["mnist", "train", "--optimizer", "adm"], ["adm", "adam"]),
    "unknown data": (["mnist", "train", "--data", "embeded"], ["embeded", "embedded"]),
    "unknown precision": (["mnist", "train", "--precision", "float64"], ["float64", "float32"]),
    "negative epochs": (["mnist", "train", "--epochs", "-3"], ["--epochs", "-3", "at least 1"]),
    "not a number": (["mnist", "train", "--epochs", "many"], ["--epochs", "many", "int"]),
    "dropout of 1": (["mnist", "train", "--dropout", "1"], ["--dropout", "less than 1"]),
    "batch too large": (["mnist", "train", "--batch-size", "100000"], ["100000", "at most"]),
    "missing run to evaluate": (["mnist", "evaluate", "nowhere"], ["nowhere", "run.json"]),
    "missing run to report on": (["mnist", "report", "nowhere"], ["nowhere", "run.json"]),
    "no conditions of a gate": (["mnist", "gate", "nowhere"], ["nowhere", "run.json"]),
    "missing run to export": (["mnist", "export", "nowhere"], ["nowhere", "run.json"]),
    "missing run to predict with": (
        ["mnist", "predict", "nowhere", "a.png"],
        ["nowhere", "run.json"],
    ),
    "missing run to compare": (["compare", "nowhere"], ["nowhere", "run.json"]),
    "no run": (["mnist", "evaluate"], ["run"]),
    "no runs to compare": (["compare"], ["athanor compare RUN"]),
    "missing config": (["mnist", "train", "--config", "no.yaml"], ["no.yaml"]),
    "extra argument": (["mnist", "train", "now"], ["now"]),
}


def assert_mistake(result, *parts, status=2):
    actual, printed, error = result
    assert actual == status
    assert not printed
    assert error.startswith("athanor: ")
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) <= 2
    for part in parts:
        assert part in error


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_a_short_message_and_writes_nothing(name, run_cli, elsewhere):
    arguments, parts = MISTAKES[name]
    assert_mistake(run_cli(*arguments), *parts)
    assert list(elsewhere.iterdir()) == []


def test_a_fraction_of_an_epoch_is_refused(run_cli):
    assert_mistake(run_cli("mnist", "train", *TINY[:2], "--epochs", "1.5"), "--epochs", "1.5")


def test_an_unknown_data_set_is_reported_with_its_directory(run_cli, elsewhere):
    arguments = ["--data", "tfds:nonsense", "--data-dir", elsewhere / "data"]
    assert_mistake(run_cli("mnist", "train", *arguments), "nonsense", str(elsewhere / "data"))
    assert list(elsewhere.iterdir()) == []


def test_a_run_directory_in_use_is_not_changed(run_cli, run):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    assert_mistake(run_cli("mnist", "train", *TINY, "--run-dir", run.path), "not empty")
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


@pytest.mark.parametrize("content", ["epoch: 3", "epochs: -3", "model: cnm", "[1, 2]", "a: b: c"])
def test_a_wrong_config_gets_a_short_message(content, run_cli, elsewhere):
    (elsewhere / "my.yaml").write_text(content)
    words = content.replace("[1, 2]", "my.yaml").replace("a: b: c", "my.yaml").split(": ")
    assert_mistake(run_cli("mnist", "train", "--config", "my.yaml"), words[0])
    assert [path.name for path in elsewhere.iterdir()] == ["my.yaml"]


def test_flags_override_the_fields_of_a_config(run_cli, elsewhere):
    (elsewhere / "my.yaml").write_text("model: softmax\nepochs: 7\nl2: 0.001\nseed: 3\n")
    flags = ["--config", "my.yaml", "--epochs", "1", "--run-dir", "run", "--json"]
    status, _, error = run_cli("mnist", "train", *flags)
    assert status == 0, error
    fields = json.loads((elsewhere / "run" / "run.json").read_text())["fields"]
    used = {name: fields[name] for name in ("model", "epochs", "l2", "seed")}
    assert used == {"model": "softmax", "epochs": 1, "l2": 0.001, "seed": 3}


def test_the_old_name_of_a_field_is_accepted(run_cli, elsewhere):
    flags = ["--model", "svm", "--epochs", "1", "--margin", "2", "--run-dir", "run"]
    status, _, error = run_cli("regression", "train", *flags)
    assert status == 0, error
    assert "--margin is now called --svm-c" in error
    path = elsewhere / "run" / "run.json"
    written = json.loads(path.read_text())
    assert written["fields"]["svm_c"] == 2 and "margin" not in written["fields"]
    written["fields"]["margin"] = written["fields"].pop("svm_c")  # as older versions wrote it
    path.write_text(json.dumps(written))
    assert Run.load(path.parent).app.svm_c == 2


def test_predict_requires_files(run_cli, run):
    assert_mistake(run_cli("mnist", "predict", run.path), "no inputs", "FILE")


@pytest.mark.parametrize("kind", ["missing", "truncated", "text", "empty", "directory"])
def test_a_file_that_is_no_image_is_reported(kind, run_cli, run, write_image, elsewhere):
    path = write_image(elsewhere / "input.png")
    content = path.read_bytes()
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes({"truncated": content[:60], "text": b"hello\n", "empty": b""}[kind])
    mistake = run_cli("mnist", "predict", run.path, path)
    assert_mistake(mistake, str(path), "expected a readable PNG")
    assert (f"name its files, as {path}/*" in mistake[2]) == (kind == "directory")


def test_a_damaged_run_is_reported(run_cli, copied):
    (copied.path / "run.json").write_text("{")
    assert_mistake(run_cli("mnist", "evaluate", copied.path), "run.json", "damaged")


def test_a_run_of_an_unknown_app_is_reported(run_cli, copied):
    manifest = json.loads((copied.path / "run.json").read_text())
    (copied.path / "run.json").write_text(json.dumps({**manifest, "app": "astrology"}))
    assert_mistake(run_cli("mnist", "evaluate", copied.path), "astrology", "mnist")


def test_a_diverged_run_fails_with_status_1(run_cli, elsewhere):
    rate = ["--learning-rate", "1e30", "--schedule", "constant", "--no-batch-norm"]
    arguments = ["--model", "mlp", *rate, "--run-dir", elsewhere / "run", "--json"]
    status, output, error = run_cli("mnist", "train", *arguments)
    assert (status, output) == (1, "")
    assert "not finite" in error.splitlines()[-1]
    assert not (elsewhere / "run").exists()


def test_damaged_samples_are_reported(run_cli, copied):
    (copied.path / "samples.npz").write_bytes((copied.path / "samples.npz").read_bytes()[:500])
    result = run_cli("mnist", "export", copied.path, "--trust")
    gc.collect()
    assert_mistake(result, "samples.npz")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("boom"),
        OSError(28, "No space left on device"),
    ],
)
def test_an_unexpected_error_is_one_line(error, run_cli, monkeypatch):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(training, "train", broken)
    assert_mistake(run_cli("mnist", "train"), str(error.args[-1]), status=1)


def raise_broken_pipe(*_, **__):
    raise BrokenPipeError(32, "Broken pipe")


def test_train_reports_that_the_reader_of_its_output_has_ended(run_cli, monkeypatch):
    monkeypatch.setattr(training, "train", raise_broken_pipe)
    assert_mistake(
        run_cli("mnist", "train"), "the program that reads the output has ended", status=141
    )


def test_predictions_piped_to_head_end_without_a_message():
    assert output.explain(BrokenPipeError(32, "Broken pipe"), ["predict", "x"]) == (141, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["regression", "evaluate"], "Received no RUN for athanor regression evaluate;"),
        (["publish", "x"], "Received no NAME for athanor publish;"),
        (["mnist", "train", "--epochs"], "--epochs requires an argument"),
    ],
)
def test_a_missing_argument_is_named_as_in_the_help(arguments, message, run_cli):
    assert_mistake(run_cli(*arguments), message)


def raise_interrupt(*_, **__):
    raise KeyboardInterrupt


def test_an_interrupt_has_its_own_status(run_cli, monkeypatch):
    monkeypatch.setattr(training, "train", raise_interrupt)
    assert_mistake(run_cli("mnist", "train"), "interrupted", status=130)


def run_process(*arguments):
    words = [sys.executable, "-m", "athanor", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_process_ends_with_the_status_of_the_command():
    done = run_process("mnist", "evaluate", "nowhere")
    assert_mistake((done.returncode, done.stdout, done.stderr), "nowhere")


def test_debug_shows_the_traceback():
    done = run_process("mnist", "evaluate", "nowhere", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "RunError" in done.stderr


HELP = [
    *(["--help"], ["mnist", "--help"], ["mnist", "train", "--help"], ["--version"]),
    *(["mnist", "report", "--help"], ["gate", "--help"]),
]


def cpu_seconds(*arguments):
    """Return the CPU time of a process of the command line."""
    words = [sys.executable, "-m", "athanor", *arguments]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_is_fast(arguments):
    """One of twenty attempts must be fast: other processes of the machine slow down the rest."""
    assert any(cpu_seconds(*arguments) < 0.3 for _ in range(20))


@pytest.mark.parametrize("arguments", [*HELP, MISTAKES["unknown flag"][0]], ids=" ".join)
def test_help_and_mistakes_import_no_tensorflow(arguments):
    code = f"""import atexit, sys
from cli import main
atexit.register(lambda: print(*sys.modules))
main._run({arguments})"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert "cli.main" in loaded
    assert not {"tensorflow", "keras", "numpy"} & set(loaded)


def test_without_arguments_help_is_shown():
    done = run_process()
    assert done.returncode == 0
    assert done.stdout == run_process("--help").stdout
    assert all(app.name() in done.stdout for app in apps.ALL)


def test_help_shows_usage_defaults_and_choices_in_the_width_of_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    output = run_process("mnist", "train", "--help").stdout
    assert output.startswith("Usage: athanor mnist train [OPTIONS]\n")
    words = " ".join(output.split())
    assert "[default: 12]" in words
    assert "[choices: softmax, mlp, cnn]" in words
    assert max(len(line.rstrip()) for line in output.splitlines()) <= 60


def test_help_names_every_field(run_cli):
    _, output, _ = run_cli("mnist", "train", "--help")
    for name in apps.Mnist().to_json():
        assert f"--{name.replace('_', '-')} " in output


def test_the_app_of_a_run_may_be_left_out(run_cli, tiny_run, tmp_path):
    run = shutil.copytree(tiny_run(Mnist).path, tmp_path / "run")
    for arguments in (["evaluate", run, "--trust"], ["mnist", "compare", run, run]):
        status, printed, error = run_cli(*arguments)
        assert status == 0, error
    assert "accuracy" in printed


def test_warnings_of_libraries_are_not_shown():
    program = (
        "import sys, warnings; from cli import main; sys.argv = ['athanor', *sys.argv[1:]]\n"
        "main._run = lambda _: warnings.warn('of a library', UserWarning) or 0\n"
        "main.main()"
    )
    for flags, shown in ([], False), (["--debug"], True):
        command = [sys.executable, "-c", program, *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ("of a library" in done.stderr) == shown
