"""README, README.zh and docs/ are correct: commands parse, and outputs equal those of commands."""

import json
import re
import runpy
import shlex
import textwrap
from pathlib import Path

import pytest

import apps
from apps import App
from cli import commands
from tuning import space

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [page for page in PAGES if page.name != "modules.md"]  # made by conf.py
NUMBER = r"\d(?:[\d.,]*\d)?"
FENCE = re.compile(r"^```(?:sh|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
outputs = runpy.run_path(str(ROOT / "docs" / "outputs.py"))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
shown = [page for page in PAGES if outputs["BLOCK"].search(page.read_text())]
# What these pages run takes well under a second; the others train.
quick = [page for page in shown if page.name == "command-line.md"]
needs_shared = pytest.mark.skipif(
    not outputs["SHARED"].is_dir(), reason="needs ../shared with the example files"
)


def fenced(text):
    """Return the commands of the fenced blocks, without prompts, outputs and comments."""
    found = []
    for block in FENCE.findall(text):
        if block.startswith("$ "):  # without the mistakes that a page shows
            shown = outputs["commands"](block)
            found += [command for command, output in shown if output[:9] != "athanor: "]
        else:
            found += [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    return found


def inline(text):
    """Return the commands within sentences and tables."""
    return re.findall(
        r"(?<!`)`(athanor(?:-\w+)? [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S)
    )


def words(command):
    """Return the words of a command, of a pipe the first one, without environment variables."""
    parts = shlex.split(command.removesuffix("&"), comments=True)
    parts = parts[: parts.index("|")] if "|" in parts else parts
    while parts and re.match(r"[A-Z_]+=", parts[0]):
        parts = parts[1:]
    return parts


def parse(arguments):
    """Raise the usage error of a command, if there is one; run nothing."""
    from cli import output as console

    if arguments[0] == "launch":
        arguments = console.delimited(arguments)
    commands.command_line(arguments[0]).parse_args(
        arguments, exit_on_error=False, print_error=False
    )


def test_the_parser_finds_mistakes():
    with pytest.raises(Exception, match="epoch"):
        parse(["mnist", "train", "--epoch", "3"])
    assert fenced("```sh\nA=1 b \\\n  c # d\n```") == ["A=1 b    c # d"]
    assert words("A=1 b \n c # d") == ["b", "c"]
    assert words("b c | d") == words("b c &") == ["b", "c"]


@each_page
def test_commands_of_athanor_exist(page, tmp_path, monkeypatch):
    text = page.read_text()
    monkeypatch.chdir(tmp_path)
    for name in ("columns.csv", "films-columns.csv"):  # they are read at once
        Path(name).write_text("column,kind,details\nsold,date,dmy\n")
    lines = [line for line in map(words, [*fenced(text), *inline(text)]) if line]
    for program, *arguments in lines:
        if not program.startswith("athanor") or "clothes" in arguments or "--help" in arguments:
            continue
        arguments = [program.removeprefix("athanor-"), *arguments] if "-" in program else arguments
        parse(["regression" if one == "APP" else one for one in arguments])


@each_page
def test_other_commands_exist(page):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    programs = {"athanor", "make", "python", "curl", "echo", "tensorboard", "export", "pip"}
    programs |= {"head", "cut", "cat"}
    for program, *arguments in map(words, fenced(page.read_text())):
        assert program in programs
        if program == "make":
            assert arguments[0] in targets
        if program == "python":
            assert all((ROOT / one).is_file() for one in arguments if one.endswith((".py", ".md")))


@each_page
def test_links_have_targets(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_readme_is_short_and_names_all_apps():
    assert len(README.encode()) <= 10_000
    assert re.findall(r"`athanor (\w+) train --data [^`]*` \| \[", README) == [
        app.name() for app in apps.ALL
    ]


def test_both_readmes_have_the_same_commands_and_numbers():
    english, chinese = (
        [[words(line) for line in fenced(text)], inline(text), re.findall(NUMBER, text)]
        for text in (README, CHINESE)
    )
    assert english == chinese


def test_errors_in_sentences_equal_those_in_the_output():
    output = outputs["BLOCK"].search(README)[0]
    for number in re.findall(rf"off by ({NUMBER})", README):
        assert f" {number} " in output


@needs_shared
@pytest.mark.parametrize("page", quick, ids=lambda page: page.name)
def test_outputs_equal_those_of_the_commands(page, tmp_path):
    compare(page, tmp_path)


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in shown if page not in quick], ids=lambda page: page.name
)
def test_outputs_of_trainings_equal_those_of_the_commands(page, tmp_path):
    compare(page, tmp_path)


def compare(page, directory):
    """Compare outputs, except for numbers and widths of columns."""
    text = page.read_text()
    made = outputs["refreshed"](text, directory)
    for theirs, ours in zip(*map(outputs["BLOCK"].findall, (made, text)), strict=True):
        pairs = zip(*map(outputs["commands"], (theirs, ours)), strict=True)
        for (command, printed), (_, kept) in pairs:
            assert outputs["shapes"](printed) == outputs["shapes"](kept), (
                f"{command}: make it anew: python docs/outputs.py {page.relative_to(ROOT)}"
            )


def test_the_page_of_the_code_names_every_package():
    house = (ROOT / "docs/house.md").read_text()
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    tables = set(re.findall(r"^\| .*$", house, re.MULTILINE))
    assert rooms <= set(re.findall(r"`(\w+)/`", "\n".join(tables)))
    installed = house.partition("installs the names")[2].partition("at the top level")[0]
    assert set(re.findall(r"`(\w+)`", installed)) == {"athanor", *rooms}


def test_the_example_of_a_new_app_can_be_trained():
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/new-app.md").read_text(), re.S)[1]
    names = {"__name__": "apps.clothes"}
    exec(compile(textwrap.dedent(code), "new-app.md", "exec"), names)
    assert space.default(names["Clothes"](), names["Clothes"].space) is not None
    app = names["Clothes"].tiny()
    splits = app.load_splits()
    network = app.make_network(splits)
    assert isinstance(app, App)
    images = app.make_preprocessing(splits)(splits.train.numpy(slice(0, 4)).features)
    assert network(images).shape == (4, len(splits.labels))
    assert app.make_loss(splits)(splits.train.targets[:4], network(images)) > 0


@pytest.mark.slow
def test_the_litert_example_predicts_as_the_command_line(run_cli, tmp_path, monkeypatch):
    pytest.importorskip("ai_edge_litert")
    cuts = ("Ideal", "Good", "Fair")
    rows = [f"{0.2 + k / 90:.3f},{cuts[k % 3]},{900 * k % 7000 + 300 * (k % 3)}" for k in range(90)]
    (tmp_path / "gems.csv").write_text("\n".join(["carat,cut,price", *rows]) + "\n")
    (tmp_path / "one.csv").write_text("carat,cut\n0.3,Ideal\n")
    run = tmp_path / "run"
    flags = ["--target", "price", "--model", "mlp", "--epochs", "2", "--run-dir", run]
    assert run_cli("regression", "train", "--data", tmp_path / "gems.csv", *flags)[0] == 0
    assert run_cli("export", run, "--format", "litert")[0] == 0
    status, out, _ = run_cli("predict", run, tmp_path / "one.csv", "--json")
    assert status == 0
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/formats.md").read_text(), re.S)[1]
    monkeypatch.chdir(run)
    exec(compile(code, "formats.md", "exec"), names := {})
    value = json.loads(out)["predictions"][0]["value"]
    assert names["price"][0] == pytest.approx(value, rel=1e-4)
