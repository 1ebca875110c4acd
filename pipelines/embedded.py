"""Embedded data sets, which need no download."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.examples import Examples
from pipelines.splits import Source
from pipelines.tables.table import Table, Tables


def digits() -> Source:
    """Load 1,797 real handwritten digits of 8x8 grey pixels, which scikit-learn contains.

    Features are uint8 [8, 8, 1] from 0 (paper) to 255 (ink).
    Source: UCI, Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998).
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # The original levels are 0 to 16.
    pixels = np.round(bunch.images * (255 / 16)).astype("uint8")[..., np.newaxis]
    examples = Examples.of(pixels, bunch.target.astype("int64"))
    return Source(examples, labels=tuple(str(name) for name in bunch.target_names))


def ratings() -> Tables:
    """Generate 20,000 ratings of 250 items by 400 users, with noise of standard deviation 0.5.

    A rating is the sum of a mean, a user bias, an item bias, the dot product of three latent user
    and item factors, and noise. Users rate popular items and items they like more often. No model
    can have a root mean squared error below the noise floor of 0.5, except by chance.
    """
    random = np.random.default_rng(11)
    num_users, num_items, count, noise = 400, 250, 20_000, 0.5
    tastes, traits = random.normal(size=(num_users, 3)), random.normal(size=(num_items, 3))
    liked = 0.35 * tastes @ traits.T + random.normal(0, 0.4, num_items)
    liked += random.normal(0, 0.4, (num_users, 1))
    # The largest perturbed scores are a sample without replacement (Gumbel-top-k).
    appeal = 1.5 * liked + random.normal(0, 1, num_items) + random.gumbel(size=liked.shape)
    rated = np.sort(np.argpartition(appeal, -count, axis=None)[-count:])
    users, items = np.divmod(rated, num_items)
    ratings = 3.5 + liked.flat[rated] + random.normal(0, noise, count)
    columns = {
        "user_id": np.array([b"user %d" % user for user in users], dtype=object),
        "item_id": np.array([b"item %d" % item for item in items], dtype=object),
        "rating": ratings.astype("float32"),
    }
    return Tables(Table(columns), notes=("generated ratings",), noise_floor=noise)


def diabetes() -> Tables:
    """Load 442 real diabetes patients, which scikit-learn contains, to predict disease progression.

    Ten columns of numbers (age, sex, body-mass index, blood pressure, six blood values)
    in their original units, and `target`, the progression after one year.
    Source: Efron, Hastie, Johnstone and Tibshirani, Least Angle Regression, 2004.
    """
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    columns = dict(zip(bunch.feature_names, bunch.data.T, strict=True))
    return Tables(Table({**columns, "target": bunch.target}))


def reviews() -> Tables:
    """Generate 6,000 positive and negative reviews of six to twenty words.

    Most reviews name something good and something bad; a word such as `but` or `although` decides
    which of the two counts. A quarter of the opinions is negated, three words before the negated
    word. So a bag of words or of word pairs is right on little more than half of the reviews; a
    model that uses the word order can be right on all.
    """
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, NUM_REVIEWS)
    texts = np.array([_review(random, bool(label)).encode() for label in labels], dtype=object)
    return Tables(Table({"text": texts, "label": labels}, {"label": ("negative", "positive")}))


NUM_REVIEWS = 6000
SINGLE_CLAUSE_SHARE, NEGATED_SHARE = 0.45, 0.25
SUBJECTS = (
    "acting", "story", "music", "food", "service", "room", "view", "price", "staff", "ending",
    "breakfast", "screen", "battery", "location", "plot", "camera",
)  # fmt: skip
LIKED = ("good", "great", "lovely", "superb", "pleasant", "charming", "excellent", "delightful")
DISLIKED = ("bad", "awful", "boring", "poor", "dreadful", "terrible", "dull", "disappointing")
PLAIN = ("was", "felt", "seemed")
NEGATED = ("was not", "never felt", "hardly seemed")
BETWEEN = ("at all", "in any way", "for me")
AFTER = ("", " that day", " I think")
# {0} is the clause that counts.
CONTRASTS = ("{1} , but {0}", "although {1} , {0}", "{0} , although {1}", "{0} , even if {1}")


def _review(random: np.random.Generator, liked: bool) -> str:
    clauses = [_clause(random, liked), _clause(random, not liked)]
    if random.random() < SINGLE_CLAUSE_SHARE:
        return clauses[0]
    return CONTRASTS[random.integers(len(CONTRASTS))].format(*clauses)


def _clause(random: np.random.Generator, liked: bool) -> str:
    negated = random.random() < NEGATED_SHARE
    verbs, opinions = (NEGATED, DISLIKED) if negated else (PLAIN, LIKED)
    if not liked:
        opinions = LIKED if negated else DISLIKED
    words = (SUBJECTS, verbs, BETWEEN, opinions, AFTER)
    # `random.choice` draws the same numbers, but makes an array of each tuple.
    subject, verb, between, opinion, after = (
        choices[random.integers(len(choices))] for choices in words
    )
    return f"the {subject} {verb} {between} {opinion}{after}"


def low_digits(fit: Callable[[Any], Any]) -> Source:
    """Load the embedded digits 0 to 4, resized by `fit`."""
    return _select_digits(range(5), fit)


def high_digits(fit: Callable[[Any], Any]) -> Source:
    """Load the embedded digits 5 to 9, resized by `fit`."""
    return _select_digits(range(5, 10), fit)


def _select_digits(numbers: range, fit: Callable[[Any], Any]) -> Source:
    source = digits()
    pixels, target = source.train.numpy()
    chosen = np.isin(target, numbers)
    fit_all = tf.function(
        lambda images: tf.map_fn(fit, images, fn_output_signature=tf.uint8), autograph=False
    )
    fitted = fit_all(pixels[chosen]).numpy()
    labels = tuple(source.labels[number] for number in numbers)
    return Source(Examples.of(fitted, target[chosen] - numbers.start), labels=labels)
