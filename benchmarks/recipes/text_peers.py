"""Train a linear support vector machine on the texts of `athanor text train`, and evaluate once.

    python benchmarks/recipes/text_peers.py nb-svm --data tfds:imdb_reviews

Both programs are those of scikit-learn, with its own splitting of texts into words, at their usual
settings, on training and validation texts: `nb-svm` has binary n-grams of one to three words times
log-count ratios (Wang and Manning, ACL 2012; one against the rest for more than two classes),
`svm` TF-IDF weights of one and two words and, of short texts, of two to five characters; of texts
without spaces between words, of one and two characters.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

PROGRAMS = {"nb-svm": "NB-SVM", "svm": "linear SVM on TF-IDF"}
MIN_SHARE_OF_SPACES = 0.05  # in scripts with spaces between words
MAX_MEAN_CHARACTERS = 300  # of texts that have n-grams of characters


def nb_svm(train: list[str], classes: np.ndarray, test: list[str]) -> np.ndarray:
    """Return the predicted classes of test texts."""
    vectorizer = CountVectorizer(
        ngram_range=(1, 3), binary=True, min_df=2, token_pattern=r"\w+|[^\w\s]+", dtype=np.float32
    )
    present = vectorizer.fit_transform(train)
    present_in_test = vectorizer.transform(test)
    names = np.unique(classes)
    scores = []
    for name in names[1:] if len(names) == 2 else names:
        ratios = _log_count_ratios(present, classes == name)
        machine = LinearSVC().fit(present.multiply(ratios).tocsr(), classes == name)
        scores.append(machine.decision_function(present_in_test.multiply(ratios).tocsr()))
    if len(names) == 2:
        return np.where(scores[0] > 0, names[1], names[0])
    return names[np.argmax(scores, 0)]


def _log_count_ratios(present: sparse.csr_matrix, positive: np.ndarray) -> np.ndarray:
    shares = []
    for side in (positive, ~positive):
        counts = 1 + np.asarray(present[side].sum(0)).ravel()
        shares.append(counts / counts.sum())
    return np.log(shares[0] / shares[1])


def svm(train: list[str], classes: np.ndarray, test: list[str]) -> np.ndarray:
    """Return the predicted classes of test texts."""
    words = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]+", dtype=np.float32
    )
    characters = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, dtype=np.float32
    )
    alone = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32
    )
    length = np.mean([len(text) for text in train])
    has_spaces = np.mean([text.count(" ") for text in train]) > MIN_SHARE_OF_SPACES * length
    both = make_union(words, characters) if length <= MAX_MEAN_CHARACTERS else words
    features = both if has_spaces else alone
    return make_pipeline(features, LinearSVC()).fit(train, classes).predict(test)


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=PROGRAMS)
    for flag in ("--data", "--test"):
        parser.add_argument(flag, default=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    program = options.pop("program")
    from apps import Text

    splits = Text(**options).load_splits()
    train, valid, test = (_decoded(part) for part in (splits.train, splits.valid, splits.test))
    classes = np.concatenate([splits.train.targets, splits.valid.targets])
    start = time.process_time()
    predicted = {"nb-svm": nb_svm, "svm": svm}[program](train + valid, classes, test)
    seconds = time.process_time() - start
    accuracy = float((predicted == splits.test.targets).mean())
    print(json.dumps({"accuracy": accuracy, "fit_seconds": round(seconds, 2)}))


def _decoded(examples: Any) -> list[str]:
    return [text.decode("utf-8", "replace") for text in examples.numpy().features]


if __name__ == "__main__":
    main()
