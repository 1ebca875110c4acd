"""The report of a run: one page, a model card and JSON, from which a person can decide."""

import html
import html.parser
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import apps
from apps import Mnist, Regression
from cli import main
from evaluation import report
from evaluation.outcomes import TITLES
from evaluation.run_report import card, content, files, page, public, tables
from training.run import SCORES, Run

VOID = {"meta", "img", "br"}
SCRIPT = "<script>alert(1)</script>"
each_app = pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())


class Outline(html.parser.HTMLParser):
    """Elements of a page; raises if they are not nested."""

    def __init__(self, text):
        super().__init__()
        self.open, self.names, self.attributes, self.headings = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


@pytest.fixture(scope="module")
def evaluated(tiny_run, made_once):
    """A function from an app class to its tiny run, evaluated. Do not change it."""

    def written(app):
        def write(path):
            shutil.copytree(tiny_run(app).path, path)
            run = Run.load(path)
            run.remember(splits=tiny_run(app).splits, model=tiny_run(app).model)
            report.evaluate(run)

        return Run.load(made_once(f"evaluated-{app.name()}", write))

    return written


def text_of(run, name=files.PAGE):
    return (run.path / name).read_text("utf-8")


@each_app
def test_every_app_has_a_report_that_begins_with_the_verdict(app, evaluated):
    run = evaluated(app)
    scores = json.loads(text_of(run, SCORES))
    outline = Outline(text_of(run))
    outcome = scores["verdict"]["outcome"]
    assert outline.headings[0] == TITLES[outcome]
    assert {"What to do", "Scores", "Figures", "Data", "Limits", "Not tested"} <= {
        *outline.headings
    }
    assert outline.names.count("img") == len(scores["figures"]) > 1
    for one in scores["verdict"]["parts"]:
        assert f"{html.escape(one['text'])}</p>" in text_of(run)
    for name in scores["baselines"]:
        assert f"<td>{name.replace('_', ' ')}</td>" in text_of(run)


@each_app
def test_the_page_loads_nothing_and_names_no_path_of_the_machine(app, evaluated):
    run = evaluated(app)
    for name, value in Outline(text_of(run)).attributes:
        assert name not in ("onload", "onerror", "onclick", "srcset", "href")
        assert name != "src" or value.startswith("data:image/png;base64,")
    for name in files.FILES.values():
        assert str(run.path.parent) not in text_of(run, name)
        assert f"{Path.home()}/" not in text_of(run, name)


@each_app
def test_the_card_has_a_head_that_hubs_read(app, evaluated):
    run = evaluated(app)
    _, head, body = text_of(run, files.CARD).split("---\n", 2)
    fields = yaml.safe_load(head)
    assert head.startswith("# license: choose one")
    assert "license" not in fields
    assert app.name() in fields["tags"]
    assert fields["datasets"] == ["embedded"]
    (model,) = fields["model-index"]
    scores = json.loads(text_of(run, SCORES))
    metrics = {one["type"]: one["value"] for one in model["results"][0]["metrics"]}
    assert metrics == scores["test"]
    for title in ("Intended use", "Data", "Scores", "Limits", "Not tested"):
        assert f"\n## {title}\n" in body


def test_report_of_an_evaluated_run_is_written_again_without_tensorflow(evaluated, tmp_path):
    path = shutil.copytree(evaluated(Mnist).path, tmp_path / "run")
    (path / files.PAGE).unlink()
    code = f"""import sys
from cli import main
status = main._run(["mnist", "report", {str(path)!r}, "--trust", "--json"])
print(status, "tensorflow" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    printed, last = done.stdout.splitlines()
    assert last == "0 False"
    result = json.loads(printed)
    assert result["report"] == str(path / files.PAGE)
    assert result["verdict"]["outcome"] in TITLES
    images = [text_of(Run.load(one)).count("<img") for one in (path, evaluated(Mnist).path)]
    assert images[0] == images[1] > 1


def test_report_of_a_run_that_is_not_evaluated_evaluates_it(copied, run_cli):
    assert not (copied.path / SCORES).exists()
    status, printed, error = run_cli("report", copied.path, "--trust")
    assert status == 0, error
    assert "report.html" in printed
    assert (copied.path / SCORES).exists()
    assert Outline(text_of(copied)).headings


def test_report_evaluates_again_if_a_figure_is_missing(evaluated, tmp_path):
    path = shutil.copytree(evaluated(Mnist).path, tmp_path / "run")
    (path / "confusion.png").unlink()
    assert files.rewrite(Run.load(path)) is None


def test_report_evaluates_again_if_the_scores_are_those_of_another_version(evaluated, tmp_path):
    path = shutil.copytree(evaluated(Mnist).path, tmp_path / "run")
    scores = json.loads((path / SCORES).read_text())
    del scores["verdict"]["parts"]
    (path / SCORES).write_text(json.dumps(scores))
    assert files.rewrite(Run.load(path)) is None


def test_a_report_of_another_app_is_refused(evaluated, run_cli):
    status, _, error = run_cli("text", "report", evaluated(Mnist).path)
    assert status == 2
    assert "a run of mnist" in error


def test_names_of_users_are_escaped(evaluated):
    run = evaluated(Mnist)
    scores = json.loads(text_of(run, SCORES))
    scores["per_class"][0]["class"] = SCRIPT
    scores["findings"] = [{"kind": "useless_class", "text": f"The class {SCRIPT} | *bold*"}]
    scores["baselines"][SCRIPT] = scores["baselines"]["majority"]
    found = content.report_content(run, scores, ["confusion.png"])
    found["data"] |= {"address": f"csv:{SCRIPT}", "target": SCRIPT, "notes": [SCRIPT]}
    found["settings"]["given"] = {SCRIPT: SCRIPT}
    text = page.page(found, {"confusion.png": b"png"})
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 6
    Outline(text)
    _, head, body = card.card(found).split("---\n", 2)
    assert yaml.safe_load(head)["datasets"] == [f"csv:{SCRIPT}"]
    assert "<script" not in body.replace("\\<script", "")
    assert "\\| \\*bold\\*" in body


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("csv:/volumes/ann/private/houses.csv", "csv:houses.csv"),
        ("folder:~/photos/", "folder:photos"),
        ("../data/mails.csv", "mails.csv"),
        ("tfds:movielens/100k-ratings", "tfds:movielens/100k-ratings"),
        ("embedded", "embedded"),
        ("", ""),
    ],
)
def test_an_address_loses_its_folders(address, shown):
    assert public.address(address) == shown


def test_notes_lose_the_folders_of_absolute_paths():
    assert public.text("read /volumes/ann/a/b.csv, ~/c/d.csv") == "read b.csv, d.csv"
    assert public.text("target 1/2: and/or, km/h") == "target 1/2: and/or, km/h"


def test_the_command_repeats_the_fields_without_folders():
    app = Regression(
        data="csv:/volumes/ann/my houses.csv", target="price", model="linear", epochs=3
    )
    expected = "athanor regression train --data 'csv:my houses.csv' --epochs 3 --target price"
    assert public.command(app) == f"{expected} --model linear"
    assert public.command(Mnist(batch_norm=False, balance=True)) == (
        "athanor mnist train --balance --no-batch-norm"
    )
    words = public.command(Mnist(batch_norm=False, balance=True)).split()[1:]
    command_line = main.commands.command_line("mnist")
    _, given, _ = command_line.parse_args(words, exit_on_error=False, print_error=False)
    assert given.arguments["app"] == Mnist(batch_norm=False, balance=True)


def test_a_long_table_is_folded():
    rows = [["a", "b"]] * (tables.MAX_OPEN_ROWS + 1)
    assert "<details>" in "".join(tables.table(["x", "y"], rows))
    assert "<details>" not in "".join(tables.table(["x", "y"], rows[:3]))


def test_nothing_is_written_if_the_page_cannot_be_made(evaluated, tmp_path, monkeypatch):
    run = Run.load(shutil.copytree(evaluated(Mnist).path, tmp_path / "run"))
    for name in files.FILES.values():
        (run.path / name).unlink()
    monkeypatch.setattr(page, "_scores", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        files.rewrite(run)
    assert not any((run.path / name).exists() for name in files.FILES.values())
