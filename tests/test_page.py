"""The page's files, and the signatures that it explains answers with; without a browser."""

import re
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from apps import Finetune, Mnist, Recommender
from inference.modalities.grad_cam import heat
from inference.modalities.images import make_explainer
from inference.modalities.item_scores import ids_of, recommending_only
from inference.modalities.item_similarity import item_vectors, most_similar
from serving.http.static import FOLDER

pytest.importorskip("uvicorn", reason="needs the extra serve")
FILES = sorted(path.name for path in FOLDER.iterdir())
SCRIPTS = [name for name in FILES if name.endswith(".js")]
HOSTS = re.compile(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[\w./-]*", re.IGNORECASE)
each_file = pytest.mark.parametrize("name", FILES)


def fetched(url, **headers):
    """Status, headers and content of an address."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@each_file
def test_every_file_is_served_as_what_it_is(name, address):
    status, headers, content = fetched(f"{address}page/{name}")
    kinds = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg"}
    assert status == 200 and content == (FOLDER / name).read_bytes()
    assert headers["content-type"].startswith(kinds[name.rpartition(".")[2]])
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "*" not in policy


def test_the_address_of_the_server_is_the_page(address):
    status, headers, content = fetched(address)
    assert status == 200 and content == (FOLDER / "index.html").read_bytes()
    assert "default-src 'self'" in headers["content-security-policy"]


def test_a_file_that_is_known_is_not_sent_again(address):
    _, headers, _ = fetched(address)
    status, _, content = fetched(address, **{"If-None-Match": headers["etag"]})
    assert (status, content) == (304, b"")


@pytest.mark.parametrize("path", ["nothing.js", "..%2fpage.py", "%2e%2e/page.py", "../page.py"])
def test_no_other_file_is_served(path, address):
    assert fetched(f"{address}page/{path}")[0] == 404


@each_file
def test_a_file_is_not_long_and_names_no_other_host(name):
    text = (FOLDER / name).read_text()
    assert len(text.splitlines()) <= 300, "split it"
    hosts = set(HOSTS.findall(text)) - {"http://www.w3.org/2000/svg"}
    assert not hosts
    assert "@import" not in text and "@font-face" not in text


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_write_text_and_never_markup(name):
    text = (FOLDER / name).read_text()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)


def test_the_document_holds_no_script_and_no_style_of_its_own():
    """The Content-Security-Policy would stop them."""
    text = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def luminance(colour):
    """Of #rrggbb, as WCAG 2 defines it."""
    parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "behind", "least"),
    [
        *((front, behind, 4.5) for front in ("ink", "soft") for behind in ("paper", "card")),
        ("ink", "wash", 4.5),
        ("ink", "track", 4.5),
        ("soft", "wash", 4.5),
        ("accent", "card", 4.5),
        ("accent", "wash", 4.5),
        ("bad", "bad-wash", 4.5),
        # What is no text: borders of fields, bars, rings of focus.
        ("edge", "card", 3),
        ("ember", "card", 3),
        ("against", "card", 3),
    ],
)
def test_colours_can_be_told_apart(scheme, front, behind, least):
    pattern = r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)"
    found = {name: pair for name, *pair in re.findall(pattern, (FOLDER / "page.css").read_text())}
    light, dark = sorted((luminance(found[name][scheme]) for name in (front, behind)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= least


def test_neighbours_are_among_what_is_offered(exported):
    model = exported(Recommender).model
    rows, names = item_vectors(model), ids_of(model).items
    with recommending_only(model, names[4:7]):
        found, likeness = most_similar(
            model, rows, tf.constant([names[0], names[5]]), tf.constant(9)
        )
    assert set(found.numpy()[0]) == {name.encode() for name in names[4:7]}
    assert set(found.numpy()[1]) == {names[4].encode(), names[6].encode(), b""}
    np.testing.assert_allclose(likeness[0], np.sort(rows[4:7] @ rows[0])[::-1], atol=1e-5)


def loaded(run):
    return tf.saved_model.load(run.path / "export" / "1").signatures


def test_an_export_tells_where_its_network_looked(exported):
    run = exported(Finetune)
    raw = run.splits.test.numpy(slice(5)).features
    png = tf.constant([tf.io.encode_png(image).numpy() for image in raw])
    asked = np.array([0, 1, 2, 3, 4], "int32")
    given = loaded(run)["explain"](image_bytes=png, class_index=tf.constant(asked))
    explainer = make_explainer(run)
    shown = heat(explainer.network, explainer.prepare(raw), asked)
    np.testing.assert_allclose(given["heat"], shown, atol=1e-5)
    assert given["heat"].shape[1] > 1 and shown.min() >= 0 and shown.max() == pytest.approx(1)
    # The heat depends on the class that is asked about.
    other = loaded(run)["explain"](image_bytes=png, class_index=tf.constant(asked[::-1].copy()))
    assert np.abs(other["heat"] - shown)[[0, 1, 3, 4]].max() > 0.1
    seen = [tf.io.decode_png(one).numpy() for one in given["image_bytes"].numpy()]
    np.testing.assert_array_equal(seen, raw)


def test_a_network_without_a_map_of_places_explains_nothing(exported):
    assert "explain" not in loaded(exported(Mnist))


def test_similar_items_are_those_whose_scores_go_together(exported):
    run = exported(Recommender)
    names = ids_of(run.model).items
    rows = item_vectors(run.model)
    given = loaded(run)["similar"](item=tf.constant([names[3], "nobody"]), k=tf.constant(1000))
    items = [name.decode() for name in given["items"].numpy()[0]]
    # It is no neighbour of its own: its place, the last, is empty.
    assert items[-1] == "" and sorted([*items[:-1], names[3]]) == sorted(names)
    scores = given["scores"].numpy()
    assert (np.diff(scores[0, :-1]) <= 0).all() and np.abs(scores).max() <= 1 + 1e-5
    np.testing.assert_allclose(scores[0, 0], rows[3] @ rows[names.index(items[0])], atol=1e-5)
    assert set(given["items"].numpy()[1]) == {b""} and not scores[1].any()


class Made:
    """A model of a table of scores, with ids of its own."""

    def __init__(self, ratings, scores):
        from pipelines.ids.preprocessing import Ids

        users, items = ([f"{k}" for k in range(count)] for count in scores.shape)
        self.layers, self.tables = [Ids(users, items, 0)], (ratings, scores)

    def __call__(self, pairs, training):  # noqa: ARG002
        numbers = self.layers[0](pairs)
        places = np.stack([numbers["user"] - 1, numbers["item"] - 1], 1)
        return np.stack([table[tuple(places.T)] for table in self.tables], 1)


def test_likeness_is_the_correlation_over_users():
    random = np.random.default_rng(0)
    taste = random.normal(size=(40, 2))
    scores = taste @ [[1, 2, 0, -1], [0, 0, 1, 0]] + random.normal(size=(40, 1))
    scores += [0, 5, 1, 9]
    model = Made(np.zeros((40, 4)), scores)
    centred = scores - scores.mean(1, keepdims=True)
    rows = item_vectors(model)
    np.testing.assert_allclose(rows @ rows.T, np.corrcoef(centred.T), atol=1e-5)
    names, likeness = most_similar(model, tf.constant(rows), tf.constant(["0"]), tf.constant(2))
    assert names.shape == likeness.shape == (1, 2)
    # Popularity is the same for all users: then ratings tell.
    popularity = np.tile([3.0, 2.0, 1.0, 0.0], (40, 1))
    np.testing.assert_allclose(item_vectors(Made(scores, popularity)), rows, atol=1e-5)
    assert item_vectors(Made(popularity, popularity)) is None
