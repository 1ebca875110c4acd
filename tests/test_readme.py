"""What the README says is true."""

import dataclasses
import re
import textwrap
from pathlib import Path

import pytest

import apps
from apps import App
from flags import Common, HowToCheck, HowToTrain, HowToTune

ROOT = Path(__file__).parent.parent
LAUNCHED = r"(?:launch (?:--\w+ \d+ )*)?"
README = (ROOT / "README.md").read_text()
ROOMS = (
    "apps",
    "checking",
    "pipelines",
    "optimizers",
    "training",
    "evaluation",
    "serving",
    "tuning",
)


@pytest.fixture
def example():
    """The app that the README tells how to add."""
    code = textwrap.dedent(re.search(r"( *)```python\n(.*?)```", README, re.DOTALL).group(2))
    names = {"__name__": "apps.clothes"}
    exec(compile(code, "README.md", "exec"), names)
    return names["Clothes"]


def test_the_tree_names_every_module():
    tree = README.split("## How the house is built")[1].split("Imports point down")[0]
    for room in ROOMS:
        for path in (ROOT / room).glob("[a-z]*.py"):
            if room != "optimizers":  # one file each, not listed
                assert path.name in tree, f"add {path.relative_to(ROOT)} to the README's tree"


def test_the_tree_names_nothing_else():
    tree = README.split("## How the house is built")[1].split("Imports point down")[0]
    there = {path.name for path in ROOT.rglob("*.py") if ".venv" not in path.parts}
    assert set(re.findall(r"\w+\.py", tree)) <= there


def test_the_example_of_a_new_app_can_be_trained(example):
    app = example.tiny()
    splits = app.splits()
    network = app.network(splits)
    assert isinstance(app, App)
    images = app.prepare(splits)(splits.train.numpy(slice(0, 4)).features)
    assert network(images).shape == (4, len(splits.labels))
    assert app.loss(splits)(splits.train.targets[:4], network(images)) > 0


def test_every_command_of_the_readme_exists(capsys):
    import athanor

    asked = set(
        re.findall(rf"^    athanor {LAUNCHED}(?!serve|replay)(\w+) ([\w-]+)", README, re.MULTILINE)
    )
    assert {app for app, _ in asked} == {app.name() for app in apps.ALL}
    verbs = {"train", "tune", "check-data", "check-distribute", "evaluate", "predict", "export"}
    assert {verb for _, verb in asked} == verbs
    assert athanor._run(["serve", "--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: athanor serve RUN")
    for app, verb in asked:
        assert athanor._run([app, verb, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: athanor {app} {verb} ")


def test_flags_of_the_readme_are_fields():
    for app, verb, flags in re.findall(
        rf"^    athanor {LAUNCHED}(\w+) (train|tune|check-data) (.*)", README, re.MULTILINE
    ):
        flagged = {"train": HowToTrain, "tune": HowToTune, "check-data": HowToCheck}
        parts = (apps.named(app), flagged[verb], Common)
        known = {field.name for part in parts for field in dataclasses.fields(part)}
        named = {flag.replace("-", "_") for flag in re.findall(r"--([a-z-]+)", flags)}
        assert named <= known, f"{app}: {sorted(named - known)} are no fields"


def test_the_table_of_apps_names_them_all():
    rows = re.findall(r"^\| `(\w+)` +\|", README, re.MULTILINE)
    assert rows == [app.name() for app in apps.ALL]
