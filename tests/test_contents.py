"""The recommender with tables of items and users: new ones are known by their content."""

import csv
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from apps import Recommender
from apps.fields import FieldError
from evaluation import report
from exporting import catalogues
from exporting.export import export
from inference.modalities.item_scores import ids_of, top_items
from inference.predict import predict
from pipelines.examples import DataError
from pipelines.ids.columns import Columns
from pipelines.ids.contents import known_ids, read_content
from pipelines.tables import csv_files
from training.run import Run, RunError
from training.train import train

GENRES = ("Western", "Horror", "Musical", "Noir")
NUM_USERS, NUM_ITEMS, NUM_NEW = 80, 60, 8
SHORT = {"factors": 4, "epochs": 4, "split": "random"}


def genre_of(number):
    return GENRES[number % len(GENRES)]


def write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def _interest(user):
    """Return how likely a user rates each item: mostly those of their genre."""
    weights = np.where(np.arange(NUM_ITEMS) % 4 == user % 4, 8.0, 1.0)
    return weights / weights.sum()


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Write ratings that depend on the genre and on the user's taste alone, and the two tables."""
    folder, random = tmp_path_factory.mktemp("planted"), np.random.default_rng(0)
    ratings = [
        (f"u{user}", f"i{item}", 5 - 3 * (user % 4 != item % 4) + random.integers(0, 2) / 2)
        for user in range(NUM_USERS)
        for item in random.choice(NUM_ITEMS, 20, replace=False, p=_interest(user))
    ]
    items = [
        (f"i{n}", f"{genre_of(n)}|Film", f"{genre_of(n)} story {n}", 1950 + n % 7)
        for n in range(NUM_ITEMS + NUM_NEW)
    ]
    users = [(f"u{n}.0".replace(".0", ""), f"likes {genre_of(n)}") for n in range(NUM_USERS + 8)]
    return {
        "data": write(folder / "ratings.csv", ("user_id", "item_id", "rating"), ratings),
        "items": write(folder / "items.csv", ("item_id", "genres", "title", "year"), items),
        "users": write(folder / "users.csv", ("user_id", "taste"), users),
    }


@pytest.fixture(scope="module")
def trained(planted, tmp_path_factory):
    path = tmp_path_factory.mktemp("contents") / "run"
    return train(Recommender(**planted, **SHORT), run_dir=path)


def ratings_of(run, lines):
    rows = predict(run, lines)
    return [row["rating"] for row in rows], [row["basis"] for row in rows]


def test_new_items_and_users_are_rated_by_their_content(trained):
    new_items = [f"u1,i{NUM_ITEMS + n}" for n in range(4)]
    ratings, bases = ratings_of(trained, new_items)
    assert set(bases) == {"content of the new item"}
    assert ratings[1] > 4.5
    assert max(ratings[0], *ratings[2:]) < 3
    new_users = [f"u{NUM_USERS + n},i1" for n in range(4)]
    ratings, bases = ratings_of(trained, new_users)
    assert set(bases) == {"content of the new user"}
    assert ratings[1] > 4.5
    assert max(ratings[0], *ratings[2:]) < 3
    both = ratings_of(trained, [f"u{NUM_USERS},i{NUM_ITEMS}", f"u{NUM_USERS},i{NUM_ITEMS + 1}"])
    assert both[1] == ["content of the new user and item"] * 2
    assert both[0][0] > both[0][1] + 1.5
    assert ratings_of(trained, ["u1,unheard of"])[1] == ["unknown item: the user's mean"]


def test_new_items_are_recommended_to_those_who_like_their_genre(trained):
    ids = ids_of(trained.model)
    top = top_items(trained.model, ["u1", "u2"], 12, exclude_seen=True, in_test=True)
    names = np.array(ids.offered)[top.indices.numpy()]
    for row, taste in zip(names, (1, 2), strict=True):
        new = [int(name[1:]) for name in row if int(name[1:]) >= NUM_ITEMS]
        assert {*new[:2]} == {NUM_ITEMS + taste, NUM_ITEMS + 4 + taste}


def test_a_split_by_new_items_judges_lists_of_new_items(planted, tmp_path):
    app = Recommender(**planted, **SHORT | {"split": "new_items"})
    run = train(app, run_dir=tmp_path / "run")
    train_items, test_items = (
        set(part.numpy().features["item"]) for part in (run.splits.train, run.splits.test)
    )
    assert not train_items & test_items
    scores = report.score(run)
    # Some of the new items have no rating at all, so that no list can be perfect.
    popular = scores["baselines"]["popularity"]["ndcg_at_10"]
    assert scores["test"]["ndcg_at_10"] > popular + 0.2
    assert scores["baselines"]["content"]["ndcg_at_10"] > popular + 0.2
    assert scores["test"]["rmse"] < 0.5 * scores["baselines"]["user_and_item_means"]["rmse"]
    users = dataclasses.replace(app, split="new_users").load_splits()
    assert not {*users.train.numpy().features["user"]} & {*users.test.numpy().features["user"]}


def test_a_refreshed_catalogue_takes_new_items_by_their_content(trained, tmp_path):
    run = Run.load(shutil.copytree(trained.path, tmp_path / "run"))
    fresh = write(
        tmp_path / "fresh.csv",
        ("item_id", "genres", "title", "year"),
        [("i1", "Horror|Film", "Horror story 1", 1951)]
        + [(f"fresh{n}", f"{genre_of(n)}|Film", f"{genre_of(n)} story", 1953) for n in range(4)],
    )
    before = run.model, run.samples
    with catalogues.with_items(run, fresh) as notes:
        assert notes[0].startswith("4 new items are known by their content: fresh0")
        top = top_items(run.model, ["u2"], 5, exclude_seen=False, in_test=True)
        assert np.array(ids_of(run.model).offered)[top.indices.numpy()[0, 0]] == "fresh2"
    assert (run.model, run.samples) == before
    assert export(run, refresh_items=fresh)["parity"]["passed"]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("item_id,genres\nfresh,Noir", "without the columns title, year"),
        ("item_id\nfresh", "none of them known from training"),
    ],
    ids=["columns", "only-ids"],
)
def test_a_refreshed_catalogue_needs_the_columns_of_training(trained, tmp_path, content, part):
    (tmp_path / "fresh.csv").write_text(content)
    with (
        pytest.raises(DataError, match=part),
        catalogues.with_items(trained, tmp_path / "fresh.csv"),
    ):
        pass


def test_a_changed_table_of_items_is_noticed(planted, trained, tmp_path):
    path = shutil.copy(planted["items"], tmp_path)
    app = Recommender(**planted | {"items": path}, **SHORT | {"epochs": 1})
    run = train(app, run_dir=tmp_path / "run")
    with Path(path).open("a") as file:
        file.write("i900,Noir|Film,Noir story,1953\n")
    with pytest.raises(RunError, match="differ"):
        _ = Run.load(run.path).splits
    assert trained.manifest["files"]["items"]["note"].startswith("68 rows; columns genres")


def test_repeated_and_nameless_rows_are_counted(tmp_path):
    path = write(
        tmp_path / "items.csv",
        ("id", "movieId", "kind"),
        [(n, f"{n % 9}.0", "new" if n < 5 else "old") for n in range(10)] + [(10, "", "old")],
    )
    content = read_content(csv_files.read(path).train, Columns(), "item")
    assert content.ids.tolist() == [b"%d" % n for n in (*range(1, 9), 0)]
    assert content.columns.columns["kind"][-1] == b"old"
    assert content.notes[:2] == (
        "1 rows without an id left out",
        "1 repeated items left out, the last row of each is kept",
    )


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("film,genre\na,x\nb,y", "expected the items in a column 'item_id'"),
        ("item_id\na\nb", "no column beside 'item_id'"),
        ("item_id,genre\na,x\nb,x", "genre .constant."),
        ("item_id,genre\n,x\n,y", "none with a item in 'item_id'"),
    ],
    ids=["no-item", "no-columns", "constant", "no-ids"],
)
def test_a_table_of_items_that_says_nothing_is_refused(tmp_path, planted, content, part, run_cli):
    (tmp_path / "bad.csv").write_text(content)
    flags = "--data", planted["data"], "--items", tmp_path / "bad.csv"
    status, _, error = run_cli("recommender", "train", *flags, "--run-dir", tmp_path / "run")
    assert status in (1, 2)
    assert part.strip(".").split(" .")[0] in error
    assert not (tmp_path / "run").exists()


def test_new_items_need_a_table():
    with pytest.raises(FieldError, match="without --items"):
        Recommender(split="new_items")
    with pytest.raises(FieldError, match="embedded for --items or --users"):
        Recommender(users="embedded")


def test_ids_of_the_table_come_after_those_of_the_ratings(planted):
    splits = Recommender(**planted, **SHORT).load_splits()
    names = known_ids(splits, "item")
    assert len(names) == NUM_ITEMS + NUM_NEW
    assert names[:NUM_ITEMS].tolist() == sorted(names[:NUM_ITEMS])
    assert set(names[NUM_ITEMS:]) == {b"i%d" % (NUM_ITEMS + n) for n in range(NUM_NEW)}
