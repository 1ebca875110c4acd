"""The data that needs no download."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.examples import Examples
from pipelines.splits import Source
from pipelines.tables.table import Table, Tables


def digits() -> Source:
    """1,797 handwritten digits of 8x8 grey pixels, real, shipped inside scikit-learn.

    Features are uint8 [8, 8, 1] from 0 (paper) to 255 (ink).
    Source: UCI, Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998).
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # The original counts ink from 0 to 16.
    pixels = np.round(bunch.images * (255 / 16)).astype("uint8")[..., np.newaxis]
    examples = Examples.of(pixels, bunch.target.astype("int64"))
    return Source(examples, labels=tuple(str(name) for name in bunch.target_names))


def ratings() -> Tables:
    """20,000 generated ratings of 250 items by 400 users, with noise of deviation 0.5.

    A rating is a mean, what is usual for the user and for the item, the product
    of three hidden tastes with three hidden traits, and noise, in which users
    meet what is popular or to their taste more often. No model can have a
    root mean squared error below the noise floor of 0.5, but by chance.
    """
    random = np.random.default_rng(11)
    num_users, num_items, count, noise = 400, 250, 20_000, 0.5
    tastes, traits = random.normal(size=(num_users, 3)), random.normal(size=(num_items, 3))
    liked = 0.35 * tastes @ traits.T + random.normal(0, 0.4, num_items)
    liked += random.normal(0, 0.4, (num_users, 1))
    # The largest of Gumbel's numbers are a sample without replacement (Gumbel-top-k).
    appeal = 1.5 * liked + random.normal(0, 1, num_items) + random.gumbel(size=liked.shape)
    met = np.sort(np.argpartition(appeal, -count, axis=None)[-count:])
    users, items = np.divmod(met, num_items)
    ratings = 3.5 + liked.flat[met] + random.normal(0, noise, count)
    columns = {
        "user_id": np.array([b"user %d" % user for user in users], dtype=object),
        "item_id": np.array([b"item %d" % item for item in items], dtype=object),
        "rating": ratings.astype("float32"),
    }
    return Tables(Table(columns), notes=("generated ratings",), noise_floor=noise)


def diabetes() -> Tables:
    """442 patients, real, shipped inside scikit-learn: a disease's progress a year on.

    Ten columns of numbers (age, sex, body-mass index, blood pressure, six blood values)
    in their own units, and `target`.
    Source: Efron, Hastie, Johnstone and Tibshirani, Least Angle Regression, 2004.
    """
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    columns = dict(zip(bunch.feature_names, bunch.data.T, strict=True))
    return Tables(Table({**columns, "target": bunch.target}))


def reviews() -> Tables:
    """6,000 generated reviews of six to twenty words, liked or not.

    Most speak of two things, one liked and one not; `but`, `although` and their
    kin say which of the two decides. A quarter of the opinions is denied, three words
    before the word that is turned round. So a bag of words or of word pairs is
    right on little more than half of them; who reads in order can be right always.
    """
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, NUM_REVIEWS)
    texts = np.array([_review(random, bool(label)).encode() for label in labels], dtype=object)
    return Tables(Table({"text": texts, "label": labels}, {"label": ("negative", "positive")}))


NUM_REVIEWS = 6000
SINGLE, DENIED_SHARE = 0.45, 0.25
THINGS = (
    "acting", "story", "music", "food", "service", "room", "view", "price", "staff", "ending",
    "breakfast", "screen", "battery", "location", "plot", "camera",
)  # fmt: skip
LIKED = ("good", "great", "lovely", "superb", "pleasant", "charming", "excellent", "delightful")
DISLIKED = ("bad", "awful", "boring", "poor", "dreadful", "terrible", "dull", "disappointing")
PLAIN = ("was", "felt", "seemed")
DENIED = ("was not", "never felt", "hardly seemed")
BETWEEN = ("at all", "in any way", "for me")
AFTER = ("", " that day", " I think")
# {0} decides, {1} does not.
CONTRASTS = ("{1} , but {0}", "although {1} , {0}", "{0} , although {1}", "{0} , even if {1}")


def _review(random: np.random.Generator, liked: bool) -> str:
    clauses = [_clause(random, liked), _clause(random, not liked)]
    if random.random() < SINGLE:
        return clauses[0]
    return str(random.choice(CONTRASTS)).format(*clauses)


def _clause(random: np.random.Generator, liked: bool) -> str:
    denied = random.random() < DENIED_SHARE
    verbs, opinions = (DENIED, DISLIKED) if denied else (PLAIN, LIKED)
    if not liked:
        opinions = LIKED if denied else DISLIKED
    words = (THINGS, verbs, BETWEEN, opinions, AFTER)
    thing, verb, between, opinion, after = (str(random.choice(some)) for some in words)
    return f"the {thing} {verb} {between} {opinion}{after}"


def low_digits(fit: Callable[[Any], Any]) -> Source:
    """The embedded digits 0 to 4, each fitted to a size in colour."""
    return _some_digits(range(5), fit)


def high_digits(fit: Callable[[Any], Any]) -> Source:
    """The embedded digits 5 to 9, each fitted to a size in colour."""
    return _some_digits(range(5, 10), fit)


def _some_digits(which: range, fit: Callable[[Any], Any]) -> Source:
    every = digits()
    pixels, target = every.train.numpy()
    chosen = np.isin(target, which)
    every_one = tf.function(
        lambda images: tf.map_fn(fit, images, fn_output_signature=tf.uint8), autograph=False
    )
    fitted = every_one(pixels[chosen]).numpy()
    labels = tuple(every.labels[number] for number in which)
    return Source(Examples.of(fitted, target[chosen] - which.start), labels=labels)
