"""The page's files, and the signatures of its explanations; without a browser."""

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


def fetch(url, **headers):
    """Return status, headers and content of a URL."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@each_file
def test_every_file_is_served_with_its_media_type(name, address):
    status, headers, content = fetch(f"{address}page/{name}")
    media_types = {
        "html": "text/html",
        "css": "text/css",
        "js": "text/javascript",
        "svg": "image/svg",
    }
    assert status == 200 and content == (FOLDER / name).read_bytes()
    assert headers["content-type"].startswith(media_types[name.rpartition(".")[2]])
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "*" not in policy


def test_the_root_url_is_the_page(address):
    status, headers, content = fetch(address)
    assert status == 200 and content == (FOLDER / "index.html").read_bytes()
    assert "default-src 'self'" in headers["content-security-policy"]


def test_an_unchanged_file_is_not_sent_again(address):
    _, headers, _ = fetch(address)
    status, _, content = fetch(address, **{"If-None-Match": headers["etag"]})
    assert (status, content) == (304, b"")


@pytest.mark.parametrize("path", ["nothing.js", "..%2fpage.py", "%2e%2e/page.py", "../page.py"])
def test_no_other_file_is_served(path, address):
    assert fetch(f"{address}page/{path}")[0] == 404


@each_file
def test_a_file_is_short_and_names_no_other_host(name):
    text = (FOLDER / name).read_text()
    assert len(text.splitlines()) <= 300, "split it"
    hosts = set(HOSTS.findall(text)) - {"http://www.w3.org/2000/svg"}
    assert not hosts
    assert "@import" not in text and "@font-face" not in text


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_never_write_markup(name):
    text = (FOLDER / name).read_text()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)


def test_the_document_has_no_inline_script_or_style():
    """The Content-Security-Policy would block them."""
    text = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def luminance(colour):
    """Return the relative luminance of #rrggbb, as WCAG 2 defines it."""
    parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "behind", "min_contrast"),
    [
        *((front, behind, 4.5) for front in ("ink", "soft") for behind in ("paper", "card")),
        ("ink", "wash", 4.5),
        ("ink", "track", 4.5),
        ("soft", "wash", 4.5),
        ("accent", "card", 4.5),
        ("accent", "wash", 4.5),
        ("bad", "bad-wash", 4.5),
        # Not text: borders of fields, bars, focus rings.
        ("edge", "card", 3),
        ("ember", "card", 3),
        ("against", "card", 3),
    ],
)
def test_colours_have_enough_contrast(scheme, front, behind, min_contrast):
    pattern = r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)"
    colours = {name: pair for name, *pair in re.findall(pattern, (FOLDER / "page.css").read_text())}
    light, dark = sorted(
        (luminance(colours[name][scheme]) for name in (front, behind)), reverse=True
    )
    assert (light + 0.05) / (dark + 0.05) >= min_contrast


def test_similar_items_are_among_the_recommended_ones(exported):
    model = exported(Recommender).model
    rows, names = item_vectors(model), ids_of(model).items
    with recommending_only(model, names[4:7]):
        similar, similarities = most_similar(
            model, rows, tf.constant([names[0], names[5]]), tf.constant(9)
        )
    assert set(similar.numpy()[0]) == {name.encode() for name in names[4:7]}
    assert set(similar.numpy()[1]) == {names[4].encode(), names[6].encode(), b""}
    np.testing.assert_allclose(similarities[0], np.sort(rows[4:7] @ rows[0])[::-1], atol=1e-5)


def load_signatures(run):
    return tf.saved_model.load(run.path / "export" / "1").signatures


def test_an_export_has_grad_cam_heat_maps(exported):
    run = exported(Finetune)
    raw = run.splits.test.numpy(slice(5)).features
    png = tf.constant([tf.io.encode_png(image).numpy() for image in raw])
    classes = np.array([0, 1, 2, 3, 4], "int32")
    outputs = load_signatures(run)["explain"](image_bytes=png, class_index=tf.constant(classes))
    explainer = make_explainer(run)
    expected = heat(explainer.network, explainer.prepare(raw), classes)
    np.testing.assert_allclose(outputs["heat"], expected, atol=1e-5)
    assert (
        outputs["heat"].shape[1] > 1 and expected.min() >= 0 and expected.max() == pytest.approx(1)
    )
    # The heat map depends on the class.
    reverse = tf.constant(classes[::-1].copy())
    other = load_signatures(run)["explain"](image_bytes=png, class_index=reverse)
    assert np.abs(other["heat"] - expected)[[0, 1, 3, 4]].max() > 0.1
    inputs = [tf.io.decode_png(one).numpy() for one in outputs["image_bytes"].numpy()]
    np.testing.assert_array_equal(inputs, raw)


def test_a_network_without_convolutions_has_no_explain_signature(exported):
    assert "explain" not in load_signatures(exported(Mnist))


def test_similar_items_have_correlated_scores(exported):
    run = exported(Recommender)
    names = ids_of(run.model).items
    rows = item_vectors(run.model)
    outputs = load_signatures(run)["similar"](
        item=tf.constant([names[3], "nobody"]), k=tf.constant(1000)
    )
    items = [name.decode() for name in outputs["items"].numpy()[0]]
    # An item is not similar to itself: the last place is empty.
    assert items[-1] == "" and sorted([*items[:-1], names[3]]) == sorted(names)
    scores = outputs["scores"].numpy()
    assert (np.diff(scores[0, :-1]) <= 0).all() and np.abs(scores).max() <= 1 + 1e-5
    np.testing.assert_allclose(scores[0, 0], rows[3] @ rows[names.index(items[0])], atol=1e-5)
    assert set(outputs["items"].numpy()[1]) == {b""} and not scores[1].any()


class TableModel:
    """A model that reads ratings and scores from tables."""

    def __init__(self, ratings, scores):
        from pipelines.ids.preprocessing import Ids

        users, items = ([f"{k}" for k in range(count)] for count in scores.shape)
        # It is the layer that scores lists too.
        self.layers, self.tables = [Ids(users, items, 0), self], (ratings, scores)

    def list_scores(self, users, items):
        return self.tables[1][np.ix_(users.numpy() - 1, items.numpy() - 1)]

    def list_scores_of_liked(self, liked, items):
        raise NotImplementedError

    def __call__(self, pairs, training):  # noqa: ARG002
        numbers = self.layers[0](pairs)
        places = np.stack([numbers["user"] - 1, numbers["item"] - 1], 1)
        return np.stack([table[tuple(places.T)] for table in self.tables], 1)


def test_similarity_is_the_correlation_over_users():
    random = np.random.default_rng(0)
    factors = random.normal(size=(40, 2))
    scores = factors @ [[1, 2, 0, -1], [0, 0, 1, 0]] + random.normal(size=(40, 1))
    scores += [0, 5, 1, 9]
    model = TableModel(np.zeros((40, 4)), scores)
    centred = scores - scores.mean(1, keepdims=True)
    rows = item_vectors(model)
    np.testing.assert_allclose(rows @ rows.T, np.corrcoef(centred.T), atol=1e-5)
    names, similarities = most_similar(model, tf.constant(rows), tf.constant(["0"]), tf.constant(2))
    assert names.shape == similarities.shape == (1, 2)
    # If the scores are the same for all users, the ratings count.
    popularity = np.tile([3.0, 2.0, 1.0, 0.0], (40, 1))
    np.testing.assert_allclose(item_vectors(TableModel(scores, popularity)), rows, atol=1e-5)
    assert item_vectors(TableModel(popularity, popularity)) is None
