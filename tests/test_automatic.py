"""Automatic values of fields, and given ones, also if they equal the default."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest

import apps
from apps import FieldError, Finetune, Mnist, Regression, Text
from cli import training as making
from cli.options import TrainFlags
from training import manifest
from training.distributed import strategy
from training.run import MANIFEST, Run

AUTOMATIC = [  # app, training examples, the batch size that it chooses
    (Regression, 310, 19),
    (Regression, 100_000, 128),
    (Mnist, 60, 22),
    (Mnist, 60_000, 96),
    (Finetune, 126, 6),
    (Finetune, 5000, 32),
    (Text, 5452, 32),
    (Text, 10_000, 64),
    (Text, 20, 20),
    (apps.Recommender, 80_000, 1024),
]


@pytest.mark.parametrize(("app", "count", "size"), AUTOMATIC)
def test_the_automatic_batch_size_depends_on_the_data(app, count, size):
    assert app().batch_size is None
    assert app().effective_batch_size(count) == size


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.__name__)
def test_a_given_batch_size_is_used(app):
    usual = app.default_batch_size
    for size in (usual // 2, usual - 1, usual, usual + 1):
        assert app(batch_size=size).effective_batch_size(usual + 1) == size
    with pytest.raises(FieldError, match=f"--batch-size {usual}; expected at most the {usual - 1}"):
        app(batch_size=usual).effective_batch_size(usual - 1)


def test_a_recurrent_network_has_larger_batches_and_twice_the_rate():
    rnn, cnn = Text(model="rnn"), Text(model="cnn")
    assert [rnn.effective_batch_size(count) for count in (20, 3999, 4000)] == [20, 32, 64]
    for steps in (60, 1000, 10_000):
        expected = 2 * cnn.peak_learning_rate_for(steps)
        assert rnn.peak_learning_rate_for(steps) == pytest.approx(expected)
    given = dataclasses.replace(rnn, learning_rate=0.003, batch_size=32)
    assert given.peak_learning_rate_for(1000) == 0.003
    assert given.effective_batch_size(5452) == 32


def test_given_copies_are_used():
    photos = {"data": "folder:photos"}
    assert [Finetune(**photos, copies=n)._num_copies(10_000) for n in (3, 4, 5)] == [3, 4, 5]
    assert [Finetune(**photos)._num_copies(n) for n in (100, 6000, 20_000)] == [4, 3, 2]
    assert Finetune()._num_copies(100) == 1  # without a change all copies are alike


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.__name__)
def test_the_default_optimizer_has_the_apps_learning_rate_in_any_spelling(app):
    for name in (
        app().optimizer,
        app().optimizer.upper(),
        f"{app().optimizer[:2]}_{app().optimizer[2:]}",
    ):
        assert app(optimizer=name).peak_learning_rate == app.default_learning_rate
    assert app(optimizer="sgd").peak_learning_rate == 0.01
    assert (
        app(learning_rate=app.default_learning_rate / 2).peak_learning_rate
        == app.default_learning_rate / 2
    )


@pytest.mark.parametrize("solver", ["exact", "batch", "stochastic"])
def test_a_batch_size_and_a_solver_that_has_its_own_are_refused(solver):
    with pytest.raises(FieldError, match=f"--batch-size 8 with --solver {solver}"):
        Regression(model="linear", solver=solver, batch_size=8).load_splits()


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.__name__)
def test_run_json_has_the_automatic_values(app, tiny_run):
    """With these values as flags the run is the same."""
    run = tiny_run(app)
    chosen = run.manifest["chosen"]
    assert all(run.manifest["fields"][name] != value for name, value in chosen.items())
    again = app.from_json(run.manifest["fields"] | chosen)
    count = len(run.splits.train)
    assert again.automatic_values(run.splits, again.effective_batch_size(count), steps=8) == {}
    steps = run.app.epochs * (count // run.app.effective_batch_size(count))
    peak = (
        run.app.peak_learning_rate_for(steps)
        if "learning_rate" in chosen
        else run.app.peak_learning_rate
    )
    assert (again.effective_batch_size(count), again.peak_learning_rate) == (
        run.app.effective_batch_size(count),
        peak,
    )


@pytest.mark.thorough
def test_automatic_values_are_printed(capsys, tmp_path):
    from training.train import train

    train(Regression(width=8, epochs=1), run_dir=tmp_path / "run", precision="float32")
    out = capsys.readouterr().out
    assert re.search("chosen  batch_size 1[89]; learning_rate 0.00133 .lowered from 0.01 for", out)


def test_a_given_learning_rate_is_not_lowered():
    for app in apps.ALL:
        given = app(learning_rate=0.003)
        assert {given.peak_learning_rate_for(steps) for steps in (2, 500, 10**6)} == {0.003}
        assert float(given.make_schedule(10)(2)) == pytest.approx(
            0.003
        )  # after two steps of warm-up


def test_automatic_values_of_older_runs_are_recognised(tiny_run, tmp_path):
    run = tiny_run(Finetune)
    told = json.loads((run.path / MANIFEST).read_text())
    del told["chosen"]
    told["fields"] |= {"batch_size": 32, "copies": 4}
    (tmp_path / MANIFEST).write_text(json.dumps(told))
    assert Run(tmp_path).app == run.app
    told["fields"] |= {"batch_size": 31, "copies": 3}
    (tmp_path / MANIFEST).write_text(json.dumps(told))
    assert (Run(tmp_path).app.batch_size, Run(tmp_path).app.copies) == (31, 3)
    assert manifest.with_automatic("text", {"batch_size": 64, "width": 64}) == {
        "batch_size": None,
        "width": 64,
    }


def test_the_command_line_takes_null_and_numbers(tmp_path, monkeypatch):
    from cli import commands
    from cli import output as console

    def parsed(text):
        Path("fields.yaml").write_text(text)
        cli = commands.command_line("mnist")
        cli.config = [console.config_of(["--config", "fields.yaml"])]
        _, bound, _ = cli.parse_args(["mnist", "train"], exit_on_error=False, print_error=False)
        bound.apply_defaults()
        return bound.arguments["app"]

    monkeypatch.chdir(tmp_path)
    assert parsed("batch_size: null\n") == Mnist()
    assert parsed("batch_size: 96\n") == Mnist(batch_size=96) != Mnist()


def test_a_flag_with_its_default_value_counts_as_given(monkeypatch, run):
    """--resume goes back to a default that a command or its --config names."""
    Path("fields.yaml").write_text("epochs: 12\n")
    words = ["athanor", "mnist", "train", "--config", "fields.yaml", "--strategy", "one"]
    monkeypatch.setattr(sys, "argv", words)
    flags = TrainFlags(resume=run.path, config=Path("fields.yaml"))
    app, options = making._resumed(Mnist(), flags)
    assert run.app.epochs != 12 == app.epochs
    assert (options.strategy, app.model) == ("one", run.app.model)


def test_expected_replicas():
    assert strategy.expected_replicas("one", 4) == 1
    assert strategy.expected_replicas("mirrored", 4) == 4
    assert strategy.expected_replicas("auto", None) >= 1


@pytest.mark.parametrize(
    ("optimizer", "schedule", "rates"),  # at the beginning, after a fifth, at the end
    [
        ("adam", "auto", (0.1, 1.0, 0.0)),
        ("adam", "warmup", (0.1, 1.0, 1.0)),
        ("adam", "constant", (1.0, 1.0, 1.0)),
        ("schedule_free", "auto", (0.1, 1.0, 1.0)),
        ("schedulefree", "constant", (1.0, 1.0, 1.0)),
        ("prodigy", "auto", (1.0, 1.0, 1.0)),
        ("Prodigy", "cosine", (1.0, 0.9045, 0.0)),
    ],
)
@pytest.mark.parametrize("steps", [50, 500, 5000])
@pytest.mark.parametrize("app", [Mnist, Text])
def test_the_automatic_schedule_suits_the_optimizer(app, optimizer, schedule, rates, steps):
    made = app(optimizer=optimizer, schedule=schedule, learning_rate=1.0)
    rate = made.make_schedule(steps)
    found = [float(rate(step)) if callable(rate) else rate for step in (0, steps // 5, steps)]
    assert found == pytest.approx(rates, abs=1e-3)


def test_learning_rate_free_optimizers_keep_their_peak_in_runs_of_any_length():
    for app in (Mnist, Text):
        peaks = {
            app(optimizer="prodigy").peak_learning_rate_for(steps) for steps in (2, 500, 10**6)
        }
        assert peaks == {1.0}
        assert app().peak_learning_rate_for(2) < app().peak_learning_rate


def test_a_cosine_schedule_with_schedule_free_is_refused():
    app = Mnist(optimizer="schedulefree", schedule="cosine")
    with pytest.raises(ValueError, match="expected auto, warmup or constant") as refused:
        app.make_optimizer(100)
    assert refused.value.exit_status == 2


@pytest.mark.parametrize(("classes", "width"), [(10, 8), (11, 16)])
def test_networks_for_many_classes_are_wider(classes, width, tmp_path):
    lines = [f"{row * row % 97},{'abcdefghijk'[row % classes]}" for row in range(30 * classes)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,y", *lines]))
    app = Regression(data=f"csv:{tmp_path / 'rows.csv'}", target="y", model="mlp", width=8)
    network = app.make_network(app.load_splits())
    assert network.layers[-2].input.shape[-1] == width
