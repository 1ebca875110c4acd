"""Lists with options by the command line, Python and HTTP: liked items, filters, diversity."""

import json
import urllib.error
import urllib.request

import numpy as np
import pytest

import athanor
from apps import Recommender, Text
from apps.fields import FieldError
from inference.inputs import UnreadableError
from inference.modalities.id_lists import ListError
from inference.modalities.id_predictions import UnknownIdError
from inference.modalities.item_scores import ids_of
from inference.options import PredictOptions, parse_items
from training.train import train


@pytest.fixture(scope="module")
def path(tiny_run):
    return tiny_run(Recommender).path


def items_of(rows):
    return [row["item"] for row in rows]


def test_python_recommends_by_liked_items(path):
    rows = athanor.predict(path, liked=["item 3", "item 8"])
    assert len(rows) == 10 and not {"item 3", "item 8"} & set(items_of(rows))
    assert {row["basis"] for row in rows} == {"liked items"} and "because" not in rows[0]
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    some = athanor.predict(path, liked=("item 3", "item 8"), only=items_of(rows)[3:6], why=True)
    assert items_of(some) == items_of(rows)[3:6]
    for row in some:
        assert {one["item"] for one in row["because"]} <= {"item 3", "item 8"}
        assert all(0 < one["similarity"] <= 1.0001 for one in row["because"])


def test_python_filters_the_lists_of_users(path):
    users = ["user 1", "user 2"]
    plain = athanor.predict(path, users)
    assert athanor.predict(path, users, exclude=["no such item"]) == plain
    best = [row["item"] for row in plain[::10]]
    rest = athanor.predict(path, users, exclude=best, k=9)
    assert items_of(rest[:9]) == [one for one in items_of(plain[:10]) if one not in best][:9]
    assert [row["input"] for row in rest] == ["user 1"] * 9 + ["user 2"] * 9
    diverse = athanor.predict(path, users, diversity=0.8)
    assert items_of(diverse) != items_of(plain) and diverse[0] == plain[0]
    assert athanor.predict(path, "user 1", k=3) == plain[:3]
    assert len(athanor.predict(path, users, k=2, why=True)) == 4


def test_unknown_items_are_reported_and_ignored(path):
    rows = athanor.predict(path, liked=["item 3", "nothing", 7], exclude=["no, thing"])
    assert rows.notes == ["3 items are unknown to training and are ignored: nothing, 7, no, thing"]
    assert items_of(rows) == items_of(athanor.predict(path, liked=["item 3"]))
    popular = athanor.predict(path, liked=["nothing"])
    assert items_of(popular) == items_of(athanor.predict(path, ["nobody"]))
    assert {row["basis"] for row in popular} == {"unknown items: popularity"}
    with pytest.raises(UnknownIdError, match="1 items that training has not seen: nothing"):
        athanor.predict(path, liked=["item 3", "nothing"], strict=True)
    assert athanor.predict(path, liked=["item 3"], strict=True)
    empty = athanor.predict(path, ["user 1"], only=["nothing"])
    assert empty == [] and "No item is left to recommend to user 1" in empty.notes[1]


WRONG_OPTIONS = {
    "weight": ({"diversity": 1.1}, "--diversity 1.1; expected at most 1"),
    "negative weight": ({"diversity": -0.1}, "--diversity -0.1; expected at least 0"),
    "no weight": ({"diversity": float("nan")}, "--diversity nan; expected a number"),
    "long": ({"k": 1001}, "--k 1001; expected less than 1001"),
    "empty": ({"k": 0}, "--k 0; expected at least 1"),
    "no list": ({"liked": 5}, "liked with 5; expected a list of texts"),
    "no texts": ({"only": [None]}, "only with None; expected a list of texts"),
    "a dict": ({"exclude": {"item 1": 2}}, "exclude with {'item 1': 2}; expected a list"),
}


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_wrong_options_are_named(options, message):
    with pytest.raises(FieldError, match=message):
        PredictOptions(**options)


def test_lists_of_items_are_lines_of_csv():
    for items in (["a", "b, c", 'd "e"', "12"], [], ["one"]):
        for given in (items, tuple(items), np.array(items, object)):
            assert parse_items(PredictOptions(only=given).only) == items
    assert parse_items(' a, "b, c" ,,d ') == ["a", "b, c", "d"]


def test_options_and_inputs_that_do_not_fit_are_refused(path, tiny_run, tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("user_id,item_id\nuser 1,item 4\n")
    for inputs in ([("user 1", "item 1")], [str(pairs)], pairs, ["", "user 1"]):
        with pytest.raises(
            UnreadableError, match=r"Received --only and the input .*expected a user"
        ):
            athanor.predict(path, inputs, only=["item 1"])
    with pytest.raises(UnreadableError, match="Received --k and a table"):
        athanor.predict(path, {"user_id": ["user 1"], "item_id": ["item 1"]}, k=3)
    with pytest.raises(UnreadableError, match="Received --liked and the user 'user 1'"):
        athanor.predict(path, ["user 1"], liked=["item 1"])
    with pytest.raises(FieldError, match="Received no inputs"):
        athanor.predict(path, k=3)
    with pytest.raises(FieldError, match="Received --diversity for text"):
        athanor.predict(tiny_run(Text).path, ["a"], diversity=0.5)


def test_the_command_line_recommends_by_liked_items(run_cli, path):
    words = ("recommender", "predict", path, "--liked", '"item 3",item 8, nothing', "--k", "4")
    status, out, err = run_cli(*words, "--why", "--diversity", "0.2", "--exclude", "item 1")
    assert status == 0, err
    header, *lines = out.splitlines()
    assert header.split()[-3:] == ["interval", "basis", "because"]
    assert len(lines) == 4
    assert "1 items are unknown to training and are ignored: nothing" in err
    status, out, err = run_cli(*words, "--json")
    assert status == 0 and len(json.loads(out)["predictions"]) == 4


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--liked", "item 3", "user 1"], 2, "Received --liked and the user 'user 1'"),
        (["user 1", "--diversity", "2"], 2, "--diversity 2.0; expected at most 1"),
        (["user 1", "--k", "5000"], 2, "--k 5000; expected less than 1001"),
        (["user 1,item 1", "--why"], 2, "Received --why and the input"),
        (["--liked", "nothing", "--strict"], 1, "1 items that training has not seen: nothing"),
        ([], 2, "Received no inputs"),
    ],
)
def test_wrong_words_end_with_a_status_and_one_line(words, status, message, run_cli, path):
    found = run_cli("recommender", "predict", path, *words)
    assert found[0] == status and message in found[2]
    assert not found[1] and len(found[2].strip().splitlines()) <= 2


def test_a_model_of_popularity_says_that_it_has_no_diversity(tmp_path):
    data = tmp_path / "one-user.csv"
    data.write_text("\n".join(["user,item", *(f"u1,i{item}" for item in range(30))]))
    app = Recommender(data=f"csv:{data}", split="random")
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    with pytest.raises(ListError, match="the same items to all users"):
        athanor.predict(run.path, ["u1"], diversity=0.5)
    rows = athanor.predict(run.path, ["somebody"], why=True)
    assert rows and all(row["because"] == [] for row in rows)


@pytest.fixture
def ask(address):
    """A function that sends inputs to `recommend_with`, and returns status and content."""

    def sent(**inputs):
        body = json.dumps({"signature_name": "recommend_with", "inputs": inputs}).encode()
        try:
            with urllib.request.urlopen(
                f"{address}v1/models/recommender:predict", body
            ) as response:
                return response.status, json.load(response)["outputs"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["error"]

    return sent


def test_http_answers_as_python_does(ask, path):
    liked = ["item 3", "nothing", "item 8"]
    status, outputs = ask(liked=[liked], k=5, exclude=["item 1"], diversity=1)
    expected = athanor.predict(path, liked=liked, k=5, exclude=["item 1"], diversity=1.0, why=True)
    assert status == 200 and outputs["unknown"] == ["nothing"]
    assert outputs["items"] == [items_of(expected)]
    reasons = [[one["item"] for one in row["because"]] for row in expected]
    assert outputs["reasons"] == [reasons]
    assert [len(one) for one in outputs["similarities"][0]] == list(map(len, reasons))


def test_http_lists_are_not_padded(ask):
    status, outputs = ask(user=["user 1", "user 2"], only=["item 4", "item 9"], k=30)
    assert status == 200
    lengths = [len(items) for items in outputs["items"]]
    assert max(lengths) <= 2
    for name in ("scores", "reasons", "similarities"):
        assert [len(row) for row in outputs[name]] == lengths
    assert ask()[1]["items"][0], "every input may be left out"
    assert ask(liked=[[]], only=[], exclude=[], user=[])[1]["items"] == []


WRONG_INPUTS = {
    "weight": ({"diversity": 1.5}, "diversity 1.5; expected a weight from 0 to 1"),
    "text as a weight": ({"diversity": "0.5"}, "not of expected type: float32"),
    "NaN": ({"diversity": float("nan")}, "diversity nan; expected"),
    "one list": ({"liked": ["item 1"]}, "Expecting shape [-1,-1] of input 'liked'"),
    "numbers": ({"liked": [[1, 2]]}, "1 is not of expected type: string"),
    "lists of other lengths": ({"liked": [["a"], ["b", "c"]]}, "lists of lengths 1, 2"),
    "nested": ({"only": [["item 1"]]}, "Expecting shape [-1] of input 'only'"),
    "a single text": ({"only": "item 1"}, "Expecting shape [-1] of input 'only'"),
    "nothing": ({"exclude": None}, "null is not of expected type: string"),
    "a fraction": ({"k": 2.5}, "2.5 is not of expected type: int32"),
    "large": ({"k": 2**40}, "out of the range of int32"),
    "wrong name": ({"excluded": ["item 1"]}, "Received the input 'excluded'; expected inputs of"),
    "rows": ({"user": ["a", "b"], "liked": [["c"]] * 3}, "2 users and 3 lists of liked items"),
    "many liked": ({"liked": [["a"] * 1001]}, "1 lists of 1001 liked items; expected at most 1000"),
    "many users": ({"user": ["a"] * 300_000}, "expected at most"),
}


@pytest.mark.parametrize(("inputs", "message"), WRONG_INPUTS.values(), ids=WRONG_INPUTS)
def test_http_refuses_wrong_inputs_with_their_reason(inputs, message, ask):
    status, error = ask(**inputs)
    assert status == 400 and message in error


def test_a_long_list_of_candidates_is_one_request(ask, exported):
    names = ids_of(exported(Recommender).model).items
    status, outputs = ask(user=["user 1"], only=[*names, *(f"new {n}" for n in range(5000))], k=3)
    assert status == 200 and len(outputs["items"][0]) == 3 and len(outputs["unknown"]) == 5000


def test_options_are_in_the_help(run_cli):
    status, out, _ = run_cli("recommender", "predict", "--help")
    assert status == 0
    for flag in ("--liked", "--only", "--exclude", "--diversity", "--k", "--why"):
        assert flag in out
