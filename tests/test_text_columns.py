"""Columns of free text and of many categories: what is inferred, encoded, saved, never leaked."""

import dataclasses

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from apps import Regression
from apps.regression.matrices import RowMatrices
from apps.regression.trees import fit_trees
from data_checks.examine import examine
from exporting import replay_edge
from pipelines.examples import DataError, Examples
from pipelines.folds import NUM_FOLDS, training_folds
from pipelines.rows import reading
from pipelines.rows.encoder_fits import fit_text
from pipelines.rows.encoders import CategoryMeans, TextNumbers
from pipelines.rows.list_items import ListItems
from pipelines.rows.packing import pack_columns
from pipelines.rows.preprocessing import PrepareColumns, stack_columns
from pipelines.rows.requested_kinds import parse_kinds
from pipelines.rows.text_hashing import MAX_CHARACTERS, hash_ngrams, to_code_points
from pipelines.rows.text_kinds import kind_of
from pipelines.splits import Splits, split_source
from pipelines.tables import arrow_columns
from pipelines.tables.cells import Cells
from pipelines.tables.list_forms import ListForm
from pipelines.tables.table import Table, Tables

WORDS = [
    "red",
    "green",
    "blue",
    "grey",
    "black",
    "white",
    "small",
    "large",
    "round",
    "flat",
    "old",
    "new",
]
WORDS += ["warm", "cold", "fast", "slow"]


def _sentences(count: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, 6)) + f" {k % 97}" for k in range(count)]


def _splits(columns: dict[str, tuple[str, list]], target: np.ndarray) -> Splits:
    """Half of the rows train, a quarter each validate and test."""
    kinds = {name: kind for name, (kind, _) in columns.items()}
    cells = [
        np.array([cell.encode() for cell in column], object) if kind != "number" else column
        for kind, column in columns.values()
    ]
    features = pack_columns(cells, kinds, len(target))
    every = Examples.of(features, np.asarray(target), kinds=kinds)
    parts = np.split(np.arange(len(target)), [len(target) // 2, len(target) * 3 // 4])
    return Splits(*(every.select(rows) for rows in parts))


def _numbers(prepare: PrepareColumns, examples: Examples) -> np.ndarray:
    return RowMatrices(prepare, examples).arrays()["numbers"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (_sentences(60), True),
        ([f"Miller, Mrs. {word.title()} {k}" for k, word in enumerate(WORDS * 3)], True),
        ([chr(0x4E00 + k) + "国便章考" for k in range(40)], True),
        ([f"{k:08x}-12ab-{k}" for k in range(40)], False),  # identifiers
        ([f"+49 30 {k:07}" for k in range(40)], False),  # telephone numbers
        ([f"A/{k} 2117{k}" for k in range(40)], False),  # tickets
        (["very good", "quite bad", "in between"] * 30, False),  # categories
        (_sentences(15), False),  # too few to tell
        ([""] * 30, False),
    ],
)
def test_free_text_is_told_from_categories_and_identifiers(cells: list[str], expected: bool):
    assert (kind_of(Cells.of(cell.encode() for cell in cells)) == "text") is expected


def test_reading_finds_free_text_and_leaves_out_identifiers():
    table = Table(
        {
            "title": Cells.of(text.encode() for text in _sentences(60)),
            "id": Cells.of(f"{k:08x}-ab".encode() for k in range(60)),
            "y": np.arange(60.0),
        }
    )
    source = reading.source(Tables(table), target="y")
    assert source.reading.kinds == {"title": "text"}
    assert "columns title: text, 60 different" in source.notes
    assert "columns left out: id (every text differs)" in source.notes


def test_a_text_that_is_the_target_has_classes():
    table = Table(
        {"x": np.arange(60.0), "y": Cells.of(text.encode() for text in _sentences(30) * 2)}
    )
    assert len(reading.source(Tables(table), target="y").labels) == 30


def test_code_points_are_lower_case_between_blanks_and_bounded():
    points = to_code_points(tf.constant(["  Ab\t\nC ", "", "\xff", "é" * 900])).numpy()
    assert [chr(one) for one in points[0] if one] == [*" ab c "]
    assert not points[1].any()
    assert points.shape == (4, MAX_CHARACTERS)


def test_ngrams_have_three_to_five_characters_of_ideographs_one_or_two():
    def count(text: str) -> int:
        return int((hash_ngrams(to_code_points(tf.constant([text]))).numpy() > 0).sum())

    assert count("abc") == 3 + 2 + 1  # with a blank at each end
    assert count("国便章") == 3 + 4
    assert count("") == 0


def test_text_numbers_do_not_depend_on_the_batch():
    texts = _sentences(200)
    target = np.array([text.startswith("red") for text in texts], "float64")
    splits = _splits({"text": ("text", texts)}, target)
    prepare = PrepareColumns.adapted(splits.train)
    together = _numbers(prepare, splits.test)
    alone = [_numbers(prepare, splits.test.select(np.array([row]))) for row in range(5)]
    np.testing.assert_allclose(np.concatenate(alone), together[:5], atol=1e-5)


@pytest.mark.parametrize("kind", ["text", "category"])
def test_random_texts_do_not_leak_a_random_target(kind: str):
    """In training, too, an example's own target must not show in its numbers."""
    random = np.random.default_rng(0)
    count = 2000
    texts = (
        _sentences(count)
        if kind == "text"
        else [f"shop {k}" for k in random.integers(0, 400, count)]
    )
    target = random.normal(size=count)
    splits = _splits({"x": (kind, texts)}, target)
    prepare = PrepareColumns.adapted(splits.train)
    seen = _numbers(prepare, splits.train)
    unmarked = _numbers(prepare, dataclasses.replace(splits.train, folds=None))
    own = splits.train.targets
    column = {"text": -1, "category": 0}[kind]

    def correlation(numbers: np.ndarray) -> float:
        return float(np.corrcoef(numbers[:, column], own)[0, 1])

    assert abs(correlation(seen)) < 0.1
    if kind == "text":
        assert correlation(unmarked) > 0.3  # the leak that folds prevent
    valid = RowMatrices(prepare, splits.valid)
    trees = fit_trees(RowMatrices(prepare, splits.train), valid, 0)
    outputs = np.concatenate([np.asarray(trees(x)) for x in valid.prepared_blocks()])[:, 0]
    known = (splits.valid.targets - own.mean()) / own.std()
    gain = 1 - np.square(known - outputs).mean() / np.square(known).mean()
    assert abs(gain) < 0.03


def test_words_of_a_text_predict_a_number():
    texts = _sentences(2000)
    target = np.array([text.count("red") + 2 * text.count("cold") for text in texts], "float64")
    splits = _splits({"text": ("text", texts)}, target)
    prepare = PrepareColumns.adapted(splits.train)
    linear = _numbers(prepare, splits.test)[:, -1]
    assert np.corrcoef(linear, splits.test.targets)[0, 1] > 0.97


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (3, 3), (21, 0)])
def test_each_class_has_a_linear_prediction_up_to_a_limit(classes: int, outputs: int):
    texts = _sentences(900)
    target = np.arange(900, dtype="int64") % classes
    splits = _splits({"text": ("text", texts)}, target)
    prepare = PrepareColumns.adapted(splits.train)
    (encoder,) = prepare.encoders
    assert isinstance(encoder, TextNumbers)
    assert encoder.outputs == outputs
    assert _numbers(prepare, splits.train).shape == (450, encoder.components + outputs)


def test_a_small_table_of_texts_and_many_classes_has_components():
    texts = _sentences(100)
    splits = _splits({"text": ("text", texts)}, np.arange(100) % 25)  # too many for statistics
    prepare = PrepareColumns.adapted(splits.train)
    assert prepare.encoders[0].outputs == 0
    numbers = _numbers(prepare, splits.train)
    assert numbers.shape[1] == 8
    assert (numbers.std(0) > 0.5).all()


def test_many_categories_have_means_and_few_have_none():
    random = np.random.default_rng(0)
    shops, colours = random.integers(0, 100, 4000), random.integers(0, 20, 4000)
    effect = random.normal(size=100)
    target = effect[shops] + random.normal(size=4000)
    splits = _splits(
        {
            "shop": ("category", [f"s{k}" for k in shops]),
            "colour": ("category", [f"c{k}" for k in colours]),
        },
        target,
    )
    prepare = PrepareColumns.adapted(splits.train)
    (encoder,) = prepare.encoders
    assert isinstance(encoder, CategoryMeans)
    assert (encoder.column, prepare.origins[:2]) == ("shop", ["shop", "shop"])
    numbers = _numbers(prepare, splits.test)
    assert np.corrcoef(numbers[:, 0], effect[shops[3000:]])[0, 1] > 0.93
    unknown = {"numbers": np.zeros((1, 0)), "texts": np.array([[b"new", b"c1"]], object)}
    mean = prepare({name: tf.constant(x) for name, x in unknown.items()})["numbers"][0, 0]
    assert abs(float(mean)) < 0.3


def test_numbers_of_categories_encode_as_their_texts():
    shops = [f"s{k % 60}" for k in range(600)]
    splits = _splits({"shop": ("category", shops)}, np.arange(600) % 60 * 1.0)
    prepare = PrepareColumns.adapted(splits.train)
    known = prepare.known_texts["shop"]
    assert len(known) == 60
    no_numbers = tf.zeros((61, 0))
    by_text = prepare(
        {"numbers": no_numbers, "texts": tf.constant([[one] for one in [*known, "?"]])}
    )
    codes = tf.constant([[k] for k in [*range(60), -1]], "int32")
    by_code = prepare({"numbers": no_numbers, "texts": codes})
    for name in by_text:
        np.testing.assert_array_equal(by_text[name], by_code[name])


def test_groups_are_whole_in_a_fold():
    groups = np.repeat(np.arange(40, dtype="uint64"), 10)
    splits = _splits({"text": ("text", _sentences(400))}, np.arange(400.0))
    train = dataclasses.replace(splits.train, group_hashes=groups)
    folds = training_folds(train)[train.rows]
    assert {*folds.tolist()} == {*range(NUM_FOLDS)}
    assert all(len({*folds[groups[train.rows] == group].tolist()}) == 1 for group in range(20))


def test_only_training_rows_have_folds():
    splits = _splits({"text": ("text", _sentences(40))}, np.arange(40.0))
    assert splits.train.folds is not None
    assert splits.valid.folds is splits.test.folds is None
    swapped = dataclasses.replace(splits, train=splits.test, test=splits.train)
    assert swapped.test.folds is None


def test_rows_of_numbers_have_no_folds():
    splits = _splits({"x": ("number", np.arange(40.0))}, np.arange(40.0))
    assert splits.train.folds is None


def test_a_saved_layer_gives_the_same_numbers(tmp_path):
    texts = _sentences(400)
    splits = _splits(
        {
            "text": ("text", texts),
            "shop": ("category", [f"s{k % 50}" for k in range(400)]),
            "tags": ("list", [text.replace(" ", "|") for text in texts]),
        },
        np.arange(400.0),
    )
    prepare = PrepareColumns.adapted(splits.train)
    raw = {
        "numbers": keras.Input((0,), dtype="float64", name="numbers"),
        "texts": keras.Input((3,), dtype="string", name="texts"),
    }
    keras.Model(raw, prepare(raw)).save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    batch = {name: tf.constant(part) for name, part in splits.test.numpy().features.items()}
    for layer in (loaded, prepare.shifted()):
        for name, part in prepare(batch).items():
            np.testing.assert_array_equal(layer(batch)[name], part)


@pytest.mark.parametrize("text", ["", " ", "x"])
def test_texts_without_repeated_characters_have_no_encoder(text: str):
    column = np.array([text.encode()] + [b""] * 40, object)
    folds = np.arange(41) % NUM_FOLDS
    assert fit_text("x", column, np.zeros((41, 1)), folds) is None


@pytest.mark.parametrize(
    ("pattern", "form"),
    [
        ("{}|{}", ("|", False)),
        ("{}; {}", (";", False)),
        ("{}, {}", (",", False)),
        ('["{}","{}"]', (",", True)),
        ("['{}', '{}']", (",", True)),
    ],
)
def test_lists_have_a_flag_for_each_frequent_item_and_their_number(pattern: str, form: tuple):
    random = np.random.default_rng(0)
    pairs = [random.choice(WORDS[:8], 2, replace=False) for _ in range(200)]
    texts = [pattern.format(*pair) for pair in pairs]
    texts[:4] = [pattern.format("rare", "red"), "", "red", "[]" if form[1] else "blue"]
    assert kind_of(Cells.of(text.encode() for text in texts)) == "list"
    splits = _splits({"tags": ("list", texts)}, np.array(["red" in text for text in texts], float))
    prepare = PrepareColumns.adapted(splits.train)
    (encoder,) = prepare.encoders
    assert isinstance(encoder, ListItems)
    assert encoder.form == form
    assert {*encoder.known} == {*WORDS[:8]}
    assert prepare.origins == ["tags"] * 9
    arrays = RowMatrices(prepare, splits.train).arrays()
    assert arrays["flags"][:3].sum(1).tolist() == [1, 0, 1]
    expected = [len(ListForm(*form).split(text.encode())) for text in texts[:100]]
    assert expected[:4] == [2, 0, 1, 0 if form[1] else 1]
    np.testing.assert_allclose(
        arrays["numbers"][:, 0] * np.std(expected) + np.mean(expected), expected, atol=1e-5
    )
    red = encoder.known.index("red")
    np.testing.assert_array_equal(arrays["flags"][:, red], ["red" in text for text in texts[:100]])
    trees = fit_trees(RowMatrices(prepare, splits.train), RowMatrices(prepare, splits.valid), 0)
    assert 0 in [index - 1 - red for index in trees.inputs.numbers]


def test_list_columns_of_arrow_are_lists():
    random = np.random.default_rng(0)
    lists = [random.choice(WORDS[:8], k % 4, replace=False).tolist() for k in range(80)]
    table = pa.table({"tags": lists, "y": np.arange(80.0)})
    source = reading.source(arrow_columns.tables_of(table, "t"), target="y")
    assert source.reading.kinds == {"tags": "list"}
    prepare = PrepareColumns.adapted(split_source(source).train)
    assert prepare.widths == {"numbers": 1, "flags": 8}


@pytest.mark.parametrize("kind", ["text", "list"])
def test_the_user_names_texts_and_lists(kind: str):
    cells = [["red one", "blue", "red one; blue"][k % 3].encode() for k in range(60)]
    table = Table({"x": Cells.of(cells), "y": np.arange(60.0)})
    assert reading.source(Tables(table), target="y").reading.kinds == {"x": "category"}
    named = reading.source(Tables(table), target="y", requests=parse_kinds(f"x={kind}"))
    assert named.reading.kinds == {"x": kind}


def test_ids_that_are_numbers_have_means_if_the_user_calls_them_categories():
    table = Table({"user": np.arange(600) % 50, "y": np.arange(600) % 50 * 1.0})
    source = reading.source(Tables(table), target="y", requests=parse_kinds("user=category"))
    prepare = PrepareColumns.adapted(split_source(source).train)
    assert prepare.origins[:2] == ["user", "user"]


@pytest.mark.parametrize(
    "texts",
    [
        [f"Miller {k}, Mrs. Ann {k}" for k in range(60)],  # items do not repeat
        ["red, blue", "blue"] * 30,  # two categories
        [f"{a}-{b}" for a in WORDS[:6] for b in WORDS[:6]],  # no separator
        [", ".join(_sentences(2, k)) for k in range(60)],  # sentences
    ],
)
def test_texts_whose_parts_do_not_repeat_are_no_lists(texts: list[str]):
    assert kind_of(Cells.of(text.encode() for text in texts)) != "list"


def test_lists_of_one_item_have_its_flag():
    texts = [["red", "blue", "green"][k % 3] for k in range(60)]
    prepare = PrepareColumns.adapted(_splits({"tags": ("list", texts)}, np.arange(60.0)).train)
    assert prepare.widths == {"numbers": 1, "flags": 3}


def test_a_column_of_empty_texts_alone_is_refused():
    table = Table({"x": Cells.of([b""] * 30), "y": np.arange(30.0)})
    with pytest.raises(DataError, match="no column but the target"):
        reading.source(Tables(table), target="y")


def test_encoded_texts_and_lists_give_the_numbers_of_their_cells():
    """LiteRT and ONNX get code points and flags; replay_edge shows how to make them."""
    texts = [*_sentences(398), "", "  Größe \t 国便章 \x01!"]
    tags = ["; ".join(text.split()[:3]) for text in texts[:398]] + ["", " RED;;'red' "]
    shops = [f"s{k % 50}" for k in range(400)]
    columns = {"text": ("text", texts), "shop": ("category", shops), "tags": ("list", tags)}
    splits = _splits(columns, np.arange(400.0))
    prepare = PrepareColumns.adapted(splits.train)
    raw = splits.test.numpy().features
    expected = prepare({name: tf.constant(part) for name, part in raw.items()})
    cells = dict(zip(columns, raw["texts"].T, strict=True))
    encoded = {
        one.column: tf.constant(
            replay_edge.encode(
                {"inputs": [{"name": one.column, "dtype": "int32"} | one.sidecar]},
                {one.column: cells[one.column]},
            )[one.column]
        )
        for one in prepare.encoders
        if one.sidecar
    }
    assert {name: part.shape[1] for name, part in encoded.items()} == {
        "text": MAX_CHARACTERS,
        "tags": len(prepare.known_texts["tags"]) + 1,
    }
    known = [text.encode() for text in prepare.known_texts["shop"]]
    encoded["shop"] = tf.constant([known.index(cell) for cell in cells["shop"]], "int32")
    actual = prepare(stack_columns(encoded, splits.train.kinds, "int32"))
    for name, part in expected.items():
        np.testing.assert_allclose(actual[name], part, atol=1e-4)


def test_check_data_finds_no_fault_in_texts_and_lists(tmp_path):
    path, texts = tmp_path / "t.csv", _sentences(300)
    lines = [
        f"{text},{'|'.join(text.split()[:2])},{text.count('red')}{k % 10}"
        for k, text in enumerate(texts)
    ]
    path.write_text("\n".join(["text,tags,y", *lines]))
    diagnosis = examine(Regression(data=str(path), target="y"), None, lambda *_: None)
    assert not [finding for finding in diagnosis.findings if finding.severity != "note"]
