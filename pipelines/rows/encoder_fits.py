"""Fit the encoders of columns of texts to training examples."""

import dataclasses
import functools
import math
from collections import Counter
from typing import Any

import numpy as np
from scipy import sparse

from pipelines.examples import Examples
from pipelines.rows.column_kinds import MIN_CATEGORY_EXAMPLES
from pipelines.rows.encoders import CategoryMeans, ColumnEncoder, FoldTables, TextNumbers
from pipelines.rows.list_items import ListItems
from pipelines.rows.out_of_fold import (
    category_means,
    ridge_fits,
    select_by_fold,
    target_columns,
    training_rows,
)
from pipelines.rows.text_hashing import MAX_CHARACTERS, NUM_BUCKETS, bucket_rows
from pipelines.tables.list_forms import ListForm, count_items

MIN_CATEGORIES = 24  # fewer have an input of their own in every model
MIN_CATEGORY_ROWS = 2  # training examples of a category with a mean of its own
MAX_KNOWN_CATEGORIES = 2**17
MAX_ITEMS = 100  # of lists that have a flag
MAX_FITTED_TEXTS, MAX_FITTED_CHARACTERS, MAX_FACTORISED_TEXTS = 30_000, 4_000_000, 10_000
MAX_COMPONENTS, TEXTS_PER_COMPONENT = 8, 200
MAX_CONTENT_COMPONENTS = 64  # of texts without a target
MIN_TEXTS_WITH_NGRAM = 2
MAX_PRODUCTS = 20_000_000  # n-grams of the fitted texts times outputs


@dataclasses.dataclass(frozen=True, eq=False)
class FittedEncoder:
    """A fitted encoder, from which a layer can be made in any scope.

    Attributes:
        kind: class of the layer.
        arguments: of its constructor.
        values: numbers of training examples, by which they are standardised.
        table: its weights, if it has any.
        fold_tables: for training examples, if it has statistics of the target.

    """

    kind: type[ColumnEncoder]
    arguments: dict[str, Any]
    values: np.ndarray
    table: np.ndarray | None = None
    fold_tables: FoldTables | None = None

    def layer(self) -> ColumnEncoder:
        """Make the layer."""
        layer = self.kind(**self.arguments)
        layer.build()
        layer.standardise_by(self.values)
        if self.table is not None:
            layer.table.assign(self.table)
        if self.fold_tables is not None:
            layer.fold_tables = self.fold_tables.in_memory()
        return layer


def fit_encoders(train: Examples) -> list[FittedEncoder]:
    """Fit an encoder for each column of free text, lists or many categories."""
    if train.folds is None:  # no texts
        return []
    targets, folds = target_columns(train), train.folds[train.rows]
    found: list[FittedEncoder | None] = []
    for name, kind in (train.kinds or {}).items():
        column = train.columns[name][train.rows]
        if kind == "list":
            found.append(fit_list(name, column))
        elif kind == "text":
            found.append(fit_text(name, column, targets, folds))
        elif kind == "category":
            found.append(fit_category(name, column, targets, folds))
    return [encoder for encoder in found if encoder is not None]


def fit_list(name: str, column: np.ndarray) -> FittedEncoder:
    """Find the frequent items of lists."""
    sample = column[:: -(-len(column) // MAX_FITTED_TEXTS)].tolist()
    form = ListForm.of(sample)
    counts = count_items(sample, form)
    ranked = sorted(counts, key=lambda item: (-counts[item], item))
    items = [item for item in ranked if counts[item] >= MIN_CATEGORY_EXAMPLES][:MAX_ITEMS]
    return FittedEncoder(
        ListItems,
        {
            "column": name,
            "items": [item.decode("utf-8", "replace") for item in items],
            "form": [*form],
        },
        np.array([[len(form.split(text))] for text in sample], "float64"),
    )


def fit_category(
    name: str, column: np.ndarray, targets: np.ndarray, folds: np.ndarray
) -> FittedEncoder | None:
    """Fit means of categories; None if the column has few categories."""
    counts = Counter(column.tolist())
    known = sorted(
        (text for text, count in counts.items() if count >= MIN_CATEGORY_ROWS),
        key=lambda text: (-counts[text], text),
    )[:MAX_KNOWN_CATEGORIES]
    if len(known) <= MIN_CATEGORIES or not targets.shape[1]:
        return None
    number = {text: index for index, text in enumerate(known)}
    codes = np.array([number.get(text, len(known)) for text in column.tolist()])
    tables = []
    for rows in training_rows(folds):
        means, sizes = category_means(codes, targets, len(known), rows)
        tables.append(np.concatenate([means, np.log1p(sizes)[:, None]], 1))
    by_fold = np.stack(tables[:-1])
    return FittedEncoder(
        CategoryMeans,
        {
            "column": name,
            "categories": [text.decode("utf-8", "replace") for text in known],
            "outputs": targets.shape[1],
        },
        by_fold[folds, codes],
        tables[-1],
        FoldTables(by_fold),
    )


def fit_text(
    name: str, column: np.ndarray, targets: np.ndarray, folds: np.ndarray
) -> FittedEncoder | None:
    """Fit components and linear predictions of texts; None if no run of characters repeats."""
    num_characters = sum(min(len(text), MAX_CHARACTERS) for text in column.tolist())
    step = max(len(column) / MAX_FITTED_TEXTS, num_characters / MAX_FITTED_CHARACTERS)
    sample = np.arange(0, len(column), max(1, math.ceil(step)))
    tf_idf, idf, used = tf_idf_of(column[sample])
    if not len(used):
        return None
    components = singular_vectors(tf_idf, alone=not targets.shape[1])
    thinning = -(-tf_idf.nnz * targets.shape[1] // MAX_PRODUCTS) or 1
    tf_idf, sample = tf_idf[::thinning], sample[::thinning]
    kernels, biases = ridge_fits(tf_idf, targets[sample].astype("float32"), folds[sample])
    linear = np.stack([tf_idf @ kernel for kernel in kernels[:-1]], 1) + (biases[:-1] - biases[-1])
    values = [tf_idf @ components, select_by_fold(linear, folds[sample])]
    table = functools.partial(_bucket_table, idf, used)
    return FittedEncoder(
        TextNumbers,
        {"column": name, "components": components.shape[1], "outputs": targets.shape[1]},
        np.concatenate(values, 1),
        table(components, kernels[-1]),
        FoldTables(table(components, *kernels[:-1]), biases[:-1] - biases[-1]),
    )


def _bucket_table(idf: np.ndarray, used: np.ndarray, *vectors: np.ndarray) -> np.ndarray:
    """Return the table of `TextNumbers` by the vectors [used, any] of the used buckets."""
    rows = np.concatenate([idf[:, None], *vectors], 1) * idf[:, None]
    full = np.zeros((NUM_BUCKETS + 1, rows.shape[1]), "float32")
    full[used] = rows
    return full


def fit_content_encoders(examples: Examples) -> list[FittedEncoder]:
    """Fit encoders that need no target: flags of lists, and singular vectors of free texts."""
    fitted: list[FittedEncoder | None] = []
    for name, kind in (examples.kinds or {}).items():
        if kind == "list":
            fitted.append(fit_list(name, examples.columns[name]))
        elif kind == "text":
            fitted.append(_fit_components(name, examples.columns[name]))
    return [encoder for encoder in fitted if encoder]


def _fit_components(name: str, column: np.ndarray) -> FittedEncoder | None:
    tf_idf, idf, used = tf_idf_of(column[:: -(-len(column) // MAX_FITTED_TEXTS) or 1])
    vectors = singular_vectors(tf_idf, alone=True, max_components=MAX_CONTENT_COMPONENTS)
    if not vectors.shape[1]:
        return None
    arguments = {"column": name, "components": vectors.shape[1], "outputs": 0}
    return FittedEncoder(
        TextNumbers, arguments, tf_idf @ vectors, _bucket_table(idf, used, vectors)
    )


def tf_idf_of(texts: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return the tf-idf of texts, sparse [texts, used], the idf and the numbers of used buckets."""
    rows, buckets = (np.concatenate(parts) for parts in zip(*bucket_rows(texts), strict=True))
    shape = len(texts), NUM_BUCKETS + 1
    counts = sparse.csr_matrix((np.ones(len(rows), "float32"), (rows, buckets)), shape)
    num_texts = np.bincount(counts.indices, minlength=shape[1])
    used = np.flatnonzero(num_texts >= MIN_TEXTS_WITH_NGRAM)
    idf = (1 + np.log((1 + len(texts)) / (1 + num_texts[used]))).astype("float32")
    counts = counts[:, used]
    norm = np.sqrt(counts @ idf**2)  # a repeated n-gram counts as often here
    scaled = sparse.diags_array(1 / np.maximum(norm, 1e-9)) @ counts @ sparse.diags_array(idf)
    return scaled.tocsr(), idf, used


def singular_vectors(
    tf_idf: Any, *, alone: bool, max_components: int = MAX_COMPONENTS
) -> np.ndarray:
    """Return the first right singular vectors of texts, [used, components].

    A small table has fewer, unless they stand alone, without linear predictions.
    """
    from sklearn.utils.extmath import randomized_svd

    step = -(-tf_idf.shape[0] // MAX_FACTORISED_TEXTS)
    sample = tf_idf[::step]
    texts_per_component = 1 if alone else TEXTS_PER_COMPONENT
    count = min(max_components, sample.shape[0] // texts_per_component, sample.shape[1])
    if not count:
        return np.zeros((tf_idf.shape[1], 0))
    return randomized_svd(sample, count, n_iter=2, random_state=0)[2].T
