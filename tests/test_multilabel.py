"""Several classes a text: lists in cells, thresholds, metrics, a run from training to export."""

import json
import re
import shutil
import threading
import urllib.request

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from pyarrow import parquet
from scipy.special import expit

from apps import Text
from apps.micro_f1 import MicroF1
from apps.thresholds import DEFAULT_THRESHOLD, choose_thresholds
from data_checks.examine import examine
from evaluation import report
from evaluation.cross_validation import cross_validate
from evaluation.intervals import resampled_positions
from evaluation.modalities import multilabel_texts
from evaluation.tasks import multilabel
from exporting.export import ParityError, export
from inference.predict import predict
from pipelines.examples import DataError, Examples
from pipelines.label_sets import find_separator, strata
from pipelines.splits import Fold, split_fold
from training.manifest import RunError
from training.options import TrainOptions
from training.run import Run
from training.train import train

WORDS = {
    "food": ["bread", "soup", "salt"],
    "price": ["cheap", "bill", "cost"],
    "place": ["garden", "street", "room"],
    "staff": ["waiter", "cook", "host"],
}
CLASSES = tuple(sorted(WORDS))


def sentences(count=400, seed=0):
    """Return texts, and the classes of their words; every tenth text has none."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for number in range(count):
        size = 0 if number % 10 == 0 else random.integers(1, 4)
        drawn = random.choice(len(CLASSES), size, replace=False, p=[0.3, 0.3, 0.3, 0.1])
        chosen = [CLASSES[k] for k in sorted(drawn)]
        words = [random.choice(WORDS[one]) for one in chosen] + [f"word{number % 97}", "and"]
        texts.append(" ".join(random.permutation(words)) + f" n{number}")
        labels.append(chosen)
    return texts, labels


def write_csv(path, texts, cells, header="text,labels"):
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    rows = [f"{text},{cell}" for text, cell in zip(texts, quoted, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def small(address, **fields):
    options = {"epochs": 3, "width": 8, "vocabulary": 200, "learning_rate": 0.03} | fields
    return Text(data=address, target="labels", multilabel=True, **options)


@pytest.fixture(scope="module")
def address(made_once):
    """A table of 400 texts."""

    def write(path):
        path.mkdir()
        texts, labels = sentences()
        write_csv(path / "data.csv", texts, ["|".join(one) for one in labels])

    return str(made_once("multilabel-data", write) / "data.csv")


@pytest.fixture(scope="module")
def run(made_once, address):
    """A trained, evaluated and exported run. Do not change it."""

    def write(path):
        run = train(small(address, epochs=8), run_dir=path, precision="float32", verbose=0)
        report.evaluate(run)
        export(run)

    return Run.load(made_once("multilabel", write))


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the run that a test may change."""
    shutil.copytree(run.path, tmp_path / "copied")
    return Run.load(tmp_path / "copied")


def split(tmp_path, cells, texts=None, **fields):
    texts = texts or [f"text {number}" for number in range(len(cells))]
    return small(write_csv(tmp_path / "t.csv", texts, cells), **fields).load_splits()


def of(splits):
    """Return the classes of every text."""
    parts = [part.numpy() for part in (splits.train, splits.valid, splits.test)]
    return {
        text.decode(): [splits.labels[k] for k in np.flatnonzero(row)]
        for part in parts
        for text, row in zip(part.features, part.target, strict=True)
    }


FORMS = {
    "bars": "|".join,
    "semicolons": "; ".join,
    "commas": ", ".join,
    "blanks around": lambda labels: "  |  ".join(labels) + " ",
    "twice": lambda labels: "|".join([*labels, *labels]),
    "json": json.dumps,
    "python": repr,
}


@pytest.mark.parametrize("form", FORMS)
def test_lists_are_read_however_they_are_written(form, tmp_path):
    texts, labels = sentences(60)
    splits = split(tmp_path, [FORMS[form](one) for one in labels], texts)
    assert splits.is_multilabel
    assert splits.labels == CLASSES
    assert of(splits) == dict(zip(texts, labels, strict=True))
    assert any("6 rows of train have no class" in note for note in splits.notes)


def test_a_list_of_json_keeps_commas_blanks_and_numbers(tmp_path):
    cells = [json.dumps(one) for one in (["a, b", "c d"], ["c d"], [1, 1.0, "a, b"], [None], [])]
    splits = split(tmp_path, cells * 8, [f"text {n}" for n in range(40)])
    assert splits.labels == ("1", "a, b", "c d")
    assert of(splits)["text 2"] == ["1", "a, b"]
    assert of(splits)["text 4"] == []
    # A list of nothing known is unknown, as NA is.
    assert "text 3" not in of(splits)


def test_booleans_and_numbers_are_classes(tmp_path):
    splits = split(tmp_path, ["[true, false]", "[false]", "[true]"] * 20)
    assert splits.labels == ("false", "true")
    splits = split(tmp_path, ["10|9", "9.0", "10"] * 20)
    assert splits.labels == ("9", "10")
    assert of(splits)["text 1"] == ["9"]


def test_an_empty_cell_is_no_class_unless_lists_are_in_brackets(tmp_path):
    plain = split(tmp_path, ["a|b", "", "NA", "b", "  "] * 20)
    assert of(plain)["text 1"] == of(plain)["text 4"] == []
    assert "text 2" not in of(plain)
    assert any("40 rows of train have no class: their cell is empty" in n for n in plain.notes)
    assert any("20 rows of train whose classes are unknown" in note for note in plain.notes)
    brackets = split(tmp_path, ['["a", "b"]', "", "[]", '["b"]'] * 20)
    assert "text 1" not in of(brackets)
    assert of(brackets)["text 2"] == []


def test_lists_of_parquet_and_frames(tmp_path):
    lists = [["a, b", "c"], [], None, ["c"]] * 20
    texts = [f"text {number}" for number in range(80)]
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"text": texts, "labels": lists}), path)
    for data in (str(path), {"text": texts, "labels": lists}):
        splits = small(data).load_splits()
        assert splits.labels == ("a, b", "c")
        assert of(splits)["text 0"] == ["a, b", "c"]
        assert of(splits)["text 1"] == []
        assert "text 2" not in of(splits)
    numbers = pa.table({"text": texts, "labels": [[3, 1], [1], [], [3]] * 20})
    parquet.write_table(numbers, path)
    assert of(small(str(path)).load_splits())["text 0"] == ["1", "3"]
    codes = pa.list_(pa.dictionary(pa.int32(), pa.string()))
    parquet.write_table(pa.table({"text": texts, "labels": pa.array(lists, codes)}), path)
    assert of(small(str(path)).load_splits())["text 0"] == ["a, b", "c"]


def test_the_separator_gives_the_fewest_labels():
    assert find_separator([b"Crime, Noir|Drama", b"Drama|Crime, Noir", b"Drama"]) == "|"
    assert find_separator([b"a, b", b"a, c", b"b, c"]) == ","
    assert find_separator([b"a"]) == "|"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["a", "b", "c"], "no cell lists two classes"),
        (["a|a", "a"], "no cell lists two classes"),
        (["", "NA"], "no cell lists two classes"),
        ([f"label{k}|name{k}" for k in range(60)], "expected two rows of each"),
        ([f"{k}|{k + 1}" for k in range(1100)], "expected 2 to 1000 classes"),
        (['[["a"], ["b"]]'], "a list of classes that holds"),
        (['[{"a": 1}]'], "a list of classes that holds"),
    ],
)
def test_other_columns_are_refused(cells, message, tmp_path):
    with pytest.raises(DataError, match=message):
        split(tmp_path, cells * (1 if len(cells) > 20 else 20))


def test_lists_without_the_flag_name_it(tmp_path):
    texts, labels = sentences(400)
    more = [[*one, f"id{number // 4}"] for number, one in enumerate(labels)]
    address = write_csv(tmp_path / "t.csv", texts, ["|".join(one) for one in more])
    with pytest.raises(DataError, match="add --multilabel"):
        Text(data=address, target="labels").load_splits()


def test_a_class_of_the_test_data_alone_and_a_missing_target(tmp_path):
    texts, labels = sentences(100)
    address = write_csv(tmp_path / "train.csv", texts, ["|".join(one) for one in labels])
    cells = ["food|rare", "price", ""] * 5
    test = write_csv(tmp_path / "test.csv", [f"t{k}" for k in range(15)], cells)
    splits = small(address, test=test).load_splits()
    assert splits.labels == (*CLASSES[:3], "rare", CLASSES[3])
    assert "no row of train has the class 'rare'" in splits.notes
    assert {*dict(multilabel_texts.baselines(splits))} == {"majority", "tf-idf_svm"}
    other = write_csv(tmp_path / "other.csv", ["t"], ["food"], header="text,classes")
    with pytest.raises(DataError, match="expected the column 'labels'"):
        small(address, test=other).load_splits()
    unlabelled = write_csv(tmp_path / "unlabelled.csv", ["t", "u"], ["", ""])
    splits = small(address, test=unlabelled).load_splits()
    assert any("the test split has no classes" in note for note in splits.notes)


def test_folds_groups_and_times(tmp_path):
    texts, labels = sentences(200)
    cells = [
        f'{"|".join(one)}","g{k % 20}","2020-01-{1 + k % 28:02}' for k, one in enumerate(labels)
    ]
    rows = [f'{text},"{cell}"' for text, cell in zip(texts, cells, strict=True)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["text,labels,customer,sent", *rows]) + "\n")
    for fields in ({"group": "customer"}, {"by_time": "sent"}):
        splits = small(str(path), text="text", **fields).load_splits()
        assert splits.is_multilabel
        assert sum(splits.sizes.values()) == 200
        folds = [split_fold(splits, Fold(number, 2)) for number in (1, 2)]
        assert all(len(fold.test) > 20 for fold in folds)


def test_rare_classes_are_in_every_split(tmp_path):
    texts, labels = sentences(2000)
    cells = ["|".join([*one, *(["odd"] if k % 150 == 0 else [])]) for k, one in enumerate(labels)]
    splits = split(tmp_path, cells, texts)
    counts = [part.class_counts(5)[1] for part in (splits.train, splits.valid, splits.test)]
    assert splits.labels[1] == "odd"
    assert sum(counts) == 14
    assert min(counts) >= 1


def test_strata_are_the_rarest_class():
    targets = np.uint8([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1], [1, 0, 1]])
    np.testing.assert_array_equal(strata(targets), [1, 0, 3, 2, 2])
    np.testing.assert_array_equal(strata(np.array([2, 0])), [2, 0])


def test_equal_sets_have_equal_keys():
    targets = np.uint8([[1, 0], [0, 1], [1, 0]])
    first, second, third = Examples.of(np.zeros((3, 1)), targets).target_keys
    assert first == third != second


def made_probabilities(count=4000, seed=0):
    """Return calibrated probabilities of three classes, of which the last is rare, and targets."""
    random = np.random.default_rng(seed)
    probabilities = random.beta([2, 1, 0.02], [2, 4, 4], (count, 3)).astype("float32")
    return probabilities, (random.random((count, 3)) < probabilities).astype("uint8")


def test_thresholds_maximize_f1():
    from sklearn.metrics import f1_score

    probabilities, targets = made_probabilities()
    thresholds = choose_thresholds(probabilities, targets)
    for k in range(2):
        scores = {
            t: f1_score(targets[:, k], probabilities[:, k] >= t) for t in np.linspace(0.02, 0.9, 89)
        }
        chosen = f1_score(targets[:, k], probabilities[:, k] >= thresholds[k])
        assert chosen > max(scores.values()) - 0.005
        # Half the best F1, by Lipton et al.
        assert abs(thresholds[k] - max(scores.values()) / 2) < 0.06


def test_thresholds_of_rare_classes_are_near_that_of_all():
    probabilities, targets = made_probabilities()
    common = choose_thresholds(probabilities.reshape(-1, 1), targets.reshape(-1, 1))
    none = np.c_[probabilities, np.full(len(targets), 0.3, "float32")]
    found = choose_thresholds(none, np.c_[targets, np.zeros(len(targets), "uint8")])
    assert found[3] > 0.3  # nothing is won by choosing a class that never occurs
    one = targets.copy()
    one[:, 2] = 0
    one[probabilities[:, 2].argmin(), 2] = 1  # a single example, with the lowest probability
    assert abs(choose_thresholds(probabilities, one)[2] - common[0]) < 0.25
    few = choose_thresholds(probabilities[:4], np.eye(3, dtype="uint8")[[0, 1, 2, 0]])
    assert (few == DEFAULT_THRESHOLD).all()


def some_predictions(count=300):
    probabilities, targets = made_probabilities(count)
    return multilabel.Predictions.by_thresholds(probabilities, np.float32([0.4, 0.3, 0.2]), targets)


def test_metrics_are_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    made = some_predictions()
    found = multilabel.metrics(made)
    assert [*found] == ["micro_f1", "macro_f1", "subset_accuracy", "loss"]
    true, chosen = made.target, made.selected
    assert found["micro_f1"] == pytest.approx(f1_score(true, chosen, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(true, chosen, average="macro"))
    assert found["subset_accuracy"] == pytest.approx(accuracy_score(true, chosen))
    losses = [log_loss(true[:, k], made.probabilities[:, k].astype("float64")) for k in range(3)]
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    metric = MicroF1()
    metric.update_state(true[:100], chosen[:100] - 0.5)
    metric.update_state(true[100:], chosen[100:] - 0.5)
    assert float(metric.result()) == pytest.approx(found["micro_f1"])


def test_a_resample_has_the_metrics_of_its_examples():
    made = some_predictions()
    resamples = multilabel.bootstrap(made)
    rows = next(resampled_positions(300))
    drawn = made._replace(**{k: getattr(made, k)[rows] for k in made._fields[:3]})
    for name, value in multilabel.metrics(drawn).items():
        assert resamples[name][0] == pytest.approx(value, rel=1e-5)
    for name, (low, high) in multilabel.intervals(made, resamples).items():
        assert low < multilabel.metrics(made)[name] < high
    nothing = made._replace(selected=np.zeros_like(made.selected), target=0 * made.target)
    assert multilabel.metrics(nothing)["micro_f1"] == 1.0


def test_a_constant_baseline_has_the_best_micro_f1_of_all_constants(address):
    splits = small(address).load_splits()
    scores = multilabel.metrics(multilabel_texts.majority(splits))
    assert 0.3 < scores["micro_f1"] < 0.7
    better = multilabel.metrics(multilabel_texts.support_vector_machines(splits))
    assert better["micro_f1"] > 0.95


def test_a_run_has_scores_and_thresholds(run):
    scores = json.loads((run.path / "scores.json").read_text())
    assert scores["test"]["micro_f1"] > 0.8
    assert [row["class"] for row in scores["per_class"]] == [*CLASSES]
    assert [row["threshold"] for row in scores["per_class"]] == run.manifest["thresholds"]
    assert [*scores["baselines"]] == ["majority", "tf-idf_svm"]
    for name in ("classes.png", "worst.png", "words.png"):
        assert (run.path / name).read_bytes()[:4] == b"\x89PNG"
    assert run.task == "multilabel"
    columns = (run.path / "history.csv").read_text().splitlines()[0]
    assert "val_micro_f1" in columns and "accuracy" not in columns


def test_thresholds_are_of_validation_texts_that_no_part_has_seen(address, tmp_path, monkeypatch):
    from apps.text import blending

    logits, fit = [], blending._fit_ngrams

    def fit_and_record(model, fit_data):
        refit = fit(model, fit_data)

        def record_and_refit():
            logits.append(blending._outputs(model, fit_data, fit_data.splits.valid))
            refit()

        return record_and_refit

    monkeypatch.setattr(blending, "_fit_ngrams", fit_and_record)
    app = small(address, model="ngrams")
    run = train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    expected = choose_thresholds(expit(logits[0]), run.splits.valid.targets)
    np.testing.assert_allclose(run.thresholds, expected)


@pytest.mark.slow
def test_thresholds_of_a_network_alone_are_those_of_its_validation_texts(address, tmp_path):
    from inference.model_outputs import predict_all

    app = small(address, epochs=1, model="cnn")
    run = train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    expected = choose_thresholds(predict_all(run.model, run.splits.valid), run.splits.valid.targets)
    np.testing.assert_allclose(run.thresholds, expected)


def test_predictions_list_all_chosen_classes(run, run_cli):
    without = [text for text, labels in zip(*sentences(), strict=True) if not labels]
    rows = {row["input"]: row for row in predict(run, without)}
    none = [text for text, row in rows.items() if not row["classes"]]
    assert len(none) > len(without) / 2
    texts = ["bread bill and", "garden waiter soup and", none[0]]
    first, second, third = predict(run, texts)
    assert {one["class"] for one in first["classes"]} == {"food", "price"}
    assert {one["class"] for one in second["classes"]} == {"food", "place", "staff"}
    assert third["classes"] == []
    assert len(third["next"]) == 2
    assert first["classes"] == sorted(first["classes"], key=lambda one: -one["probability"])
    status, out, _ = run_cli("text", "predict", run.path, *texts)
    assert status == 0
    assert out.splitlines()[3].removeprefix(none[0]).split()[0] == "none"
    status, out, _ = run_cli("text", "predict", run.path, texts[0], "--json")
    (row,) = json.loads(out)["predictions"]
    assert [*row] == ["input", "classes", "next"]


def test_an_export_chooses_as_training_did(run, copied):
    loaded = tf.saved_model.load(str(run.path / "export" / "1"))
    outputs = loaded.signatures["serving_default"](tf.constant(["bread bill", "and"]))
    assert {*outputs} == {"probabilities", "selected"}
    np.testing.assert_array_equal(
        outputs["selected"], outputs["probabilities"].numpy() >= run.thresholds
    )
    about = json.loads((run.path / "export" / "1" / "about.json").read_text())
    assert about["answer"] == "multilabel"
    assert about["thresholds"] == run.manifest["thresholds"]
    assert about["score"]["metric"] == "micro_f1"
    changed = copied.manifest | {"thresholds": [0.99] * 4}
    copied.remember(manifest=changed)
    with pytest.raises(ParityError, match="selected"):
        export(copied)


@pytest.mark.parametrize("thresholds", [None, [0.5] * 3, [0.5, 0.5, 0.5, 2], ["a"] * 4])
def test_damaged_thresholds_are_named(thresholds, copied):
    path = copied.path / "run.json"
    content = json.loads(path.read_text()) | {"thresholds": thresholds}
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match="thresholds"):
        Run.load(copied.path)


@pytest.mark.slow
def test_cross_validation(address, tmp_path):
    app = small(address, epochs=1)
    summary = cross_validate(app, 2, TrainOptions(run_dir=tmp_path / "folds"), verbose=0)
    assert summary["examples"] == 400
    assert [*summary["spread"]] == ["micro_f1", "macro_f1", "subset_accuracy", "loss"]


def test_checks_of_data(tmp_path):
    texts, labels = sentences(200)
    twins = [[*one, *(["twin"] if "staff" in one else [])] for one in labels]
    texts[3] = texts[2]
    address = write_csv(tmp_path / "t.csv", texts, ["|".join(one) for one in twins])
    found = {one.check: one for one in examine(small(address), None, lambda *_: None).findings}
    assert "'staff' and 'twin'" in found["classes that always occur together"].message
    assert found["examples without a class"].severity == "note"
    assert "-> " in found["contradicting copies"].occurrences[0].detail


def test_balance_is_refused(address):
    with pytest.raises(DataError, match="any number of classes in each row"):
        small(address, balance=True).load_splits()


@pytest.fixture(scope="module")
def page(run):
    """The address of a server of the run."""
    pytest.importorskip("uvicorn", reason="needs the extra serve")
    from serving.server import Server, Settings

    server = Server([str(run.path)], Settings(port=0, grpc_port=None))
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=[ready.set])
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{server.port}/"
    server.stop()
    thread.join(30)


def test_a_server_returns_the_chosen_classes(page):
    body = json.dumps({"instances": ["bread bill", "and"]}).encode()
    with urllib.request.urlopen(f"{page}v1/models/text:predict", body) as response:
        first, second = json.load(response)["predictions"]
    assert first["selected"] == [True, False, True, False]
    assert len(second["probabilities"]) == 4
    columns = json.dumps({"inputs": ["bread bill"]}).encode()
    with urllib.request.urlopen(f"{page}v1/models/text:predict", columns) as response:
        assert json.load(response)["outputs"]["selected"] == [first["selected"]]


@pytest.mark.thorough
def test_the_page_shows_the_chosen_classes(page):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("needs the program chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page()
        errors = []
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.goto(f"{page}#text")
        shown.get_by_label("Text").fill("bread bill")
        playwright.expect(shown.locator("#prediction .headline")).to_have_text(
            re.compile("^(food, price|price, food)$")
        )
        assert shown.locator("#prediction .bar.best").count() == 2
        assert shown.locator("#prediction .mark").count() == 4
        assert "Micro F1" in shown.locator("#score").inner_text()
        shown.locator("#prediction .bar", has_text="staff").click()
        playwright.expect(shown.locator("#explanation-title")).to_contain_text("staff")
        playwright.expect(shown.locator("#explanation .word").first).to_be_visible()
        browser.close()
    assert not errors


@pytest.fixture
def prepared(tmp_path):
    """A prepared TFDS set whose texts have a sequence of classes, and the directory of it."""
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs the extra data")

    class Notes(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            labels = tfds.features.Sequence(tfds.features.ClassLabel(names=["z", "b", "a"]))
            features = {"text": tfds.features.Text(), "genres": labels, "number": np.int64}
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, _):
            return {"train": self._examples(60), "test": self._examples(20, "t")}

        def _examples(self, count, name=""):
            for k in range(count):
                labels = [["z", "a"], [], ["b"]][k % 3]
                yield k, {"text": f"text {name}{k}", "genres": labels, "number": k}

        _generate_examples = _examples

    Notes(data_dir=str(tmp_path)).download_and_prepare()
    return tmp_path


def test_a_sequence_of_classes_of_tfds_needs_no_flag(prepared):
    app = Text(data="tfds:notes", target="genres")
    splits = app.load_splits(prepared)
    assert splits.labels == ("z", "b", "a")
    assert app.task_of(splits) == "multilabel"
    found = of(splits)
    assert (found["text 0"], found["text 1"], found["text t2"]) == (["z", "a"], [], ["b"])
    with pytest.raises(DataError, match="expected one of the columns number, genres"):
        Text(data="tfds:notes", target="nothing").load_splits(prepared)


@pytest.mark.slow
def test_a_thousand_classes(tmp_path):
    random = np.random.default_rng(0)
    drawn = [random.choice(1000, 3, replace=False) for _ in range(4000)]
    texts = [
        " ".join(f"w{k} v{k % 37}" for k in chosen) + f" n{n}" for n, chosen in enumerate(drawn)
    ]
    cells = ["|".join(f"class {k}" for k in chosen) for chosen in drawn]
    app = small(write_csv(tmp_path / "t.csv", texts, cells), epochs=1)
    run = train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    scores = multilabel.metrics(multilabel.predict_test_set(run))
    assert scores["micro_f1"] > 0.5
