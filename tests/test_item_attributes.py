"""Lists are filtered by attributes of items: values of the columns of the table of items."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import athanor
from apps import Recommender
from exporting.export import export
from inference.modalities.candidates import Filters, candidates
from inference.modalities.id_lists import ListError
from inference.modalities.item_scores import ids_of
from inference.modalities.requested_signature import DEFAULTS
from pipelines.ids.preprocessing import Ids
from pipelines.tables.list_forms import ListForm
from training.run import Run
from training.train import train

GENRES = ("Western", "Horror", "Musical", "Noir", "Comedy")
NUM_RATED, NUM_ITEMS = 40, 48  # the others have no rating
HEADER = ("item_id", "genres", "decade")


def genres_of(item):
    return {GENRES[item % 5], GENRES[(2 * item + item // 5) % 5]}


def decade_of(item):
    return ("forties", "fifties", "sixties")[item % 3]


def write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("attributes"), np.random.default_rng(0)
    ratings = [
        (f"u{user}", f"i{item}", 1 + random.integers(0, 5))
        for user in range(30)
        for item in random.choice(NUM_RATED, 12, replace=False)
    ]
    items = [(f"i{n}", "|".join(sorted(genres_of(n))), decade_of(n)) for n in range(NUM_ITEMS)]
    app = Recommender(
        data=write(folder / "ratings.csv", ("user_id", "item_id", "rating"), ratings),
        items=write(folder / "items.csv", HEADER, items),
        split="random",
        factors=2,
        epochs=1,
    )
    return train(app, run_dir=folder / "run", verbose=0)


def items_of(rows):
    return {int(row["item"][1:]) for row in rows}


def test_lists_are_filtered_by_attributes(trained, run_cli):
    every = set(range(NUM_ITEMS))
    noir, horror = ({n for n in every if one in genres_of(n)} for one in ("Noir", "Horror"))
    fifties = {n for n in every if decade_of(n) == "fifties"}

    def ask(**options):
        return items_of(athanor.predict(trained.path, k=100, **options))

    assert ask(inputs=["newcomer"], only_with=["genres=Noir"]) == noir
    two = ["genres=Noir", "genres=Horror"]
    assert ask(liked=["i1", "i5"], only_with=two, exclude=["i3"]) == (noir | horror) - {1, 3, 5}
    both = ask(inputs=["newcomer"], only_with=[*two, "decade=fifties"])
    assert both == (noir | horror) & fifties
    assert (
        ask(inputs=["newcomer"], exclude_with="genres=Noir,decade=fifties")
        == every - noir - fifties
    )
    words = (
        "--only-with",
        "genres=Noir",
        "--exclude-with",
        "decade=forties,decade=fifties,decade=sixties",
    )
    status, out, err = run_cli("recommender", "predict", trained.path, "u1", *words)
    assert (status, out) == (0, "") and "No item is left to recommend to u1" in err


def test_unknown_attributes_are_refused(trained, tiny_run, run_cli):
    for wrong in ("genre=Noir", "genres=noir", "Noir", "genres=Noir|Horror"):
        with pytest.raises(ListError) as error:
            athanor.predict(trained.path, ["u1"], only_with=[wrong, "genres=Noir"])
        expected = "COLUMN=VALUE with a value of training, and a column of categories or lists: "
        message = f"Received the attributes {wrong}; expected {expected}"
        assert str(error.value).startswith(message)
        assert set(str(error.value).removeprefix(message).split(", ")) == {"genres", "decade"}
    words = "u1", "--exclude-with", "genres=Noir,genres=Nior"
    status, _, err = run_cli("recommender", "predict", trained.path, *words)
    assert status == 2 and "Received the attributes genres=Nior; expected" in err
    path = tiny_run(Recommender).path
    with pytest.raises(ListError, match=r"genres=Noir; expected none.*without columns of items"):
        athanor.predict(path, ["user 1"], only_with=["genres=Noir"])


def test_a_refreshed_catalogue_has_the_attributes_of_its_items(trained, tmp_path):
    run = Run.load(shutil.copytree(trained.path, tmp_path / "run"))
    known = next(n for n in range(NUM_RATED) if "Noir" in genres_of(n))
    rows = [
        ("fresh0", "Noir|Space", "fifties"),
        (f"i{known}", "Noir", "fifties"),
        ("fresh1", "Horror", ""),
    ]
    fresh = write(tmp_path / "fresh.csv", HEADER, rows)
    directory = export(run, refresh_items=fresh)["export"]
    recommend = tf.saved_model.load(directory).signatures["recommend_with"]
    defaults = {name: tf.constant(one) for name, one in DEFAULTS._asdict().items()}
    for only, items in (
        (["Noir"], {b"fresh0", b"i%d" % known}),
        (["Space"], {b"fresh0"}),
        (["Space", "Horror"], {b"fresh0", b"fresh1"} | ({b"i%d" % known} & horror_of(known))),
    ):
        texts = tf.constant([f"genres={genre}" for genre in only])
        found = recommend(**defaults | {"only_with": texts})["items"].numpy()[0]
        assert set(found) - {b""} == items
    about = json.loads((Path(directory) / "about.json").read_text())
    assert {"genres=Noir", "genres=Space"} <= set(about["attributes"])
    assert "genres=Space" not in ids_of(trained.model).attributes.texts


def horror_of(item):
    return {b"i%d" % item} if "Horror" in genres_of(item) else set()


def test_values_of_one_column_are_alternatives_and_columns_are_not():
    names = [["genre", "Noir"], ["genre", "Horror"], ["decade", "40s"], ["decade", "50s"]]
    attributes = {"names": names, "forms": {"genre": [",", False], "decade": None}, "num_pairs": 8}
    ids = Ids(["u"], ["a", "b", "c", "d", "e"], 0, None, attributes)
    pairs = [(1, 1), (1, 3), (2, 1), (2, 2), (2, 4), (3, 2), (3, 3), (4, 4)]
    ids.attribute_pairs.assign(pairs)

    def chosen(only=("",), exclude=("",)):
        filters = Filters(*map(tf.constant, ([""], [""], list(only), list(exclude))))
        mask = candidates(ids, filters).numpy()
        return "".join(np.array(ids.offered)[mask])

    assert chosen() == "abcde"
    assert chosen(["genre=Noir"]) == "ab"
    assert chosen(["genre=Noir", "genre=Horror"]) == "abc"
    assert chosen(["genre=Noir", "genre=Horror", "decade=40s", ""]) == "ac"
    assert chosen(["decade=50s"], ["genre=Noir"]) == "d"
    assert chosen(exclude=["decade=40s", "genre=Horror"]) == "de"
    ids.offer(["a", "c", "e"])
    assert chosen(["genre=Horror"]) == "c"
    again = Ids.from_config(ids.get_config())
    assert again.attributes.texts == ids.attributes.texts
    assert again.attributes.forms["genre"] == ListForm(",", is_bracketed=False)
