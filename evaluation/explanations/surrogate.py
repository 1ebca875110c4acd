"""A small tree that imitates a model of rows, and how well it does so on test rows."""

from typing import Any, NamedTuple

import numpy as np

from inference.explanations.row_model import RowModel
from pipelines.examples import Examples

MAX_DEPTH = 3
MAX_FITTED_ROWS = 10_000
MAX_TESTED_ROWS = 5_000
MAX_CATEGORIES = 20  # of a column that have a feature each
MAX_COLUMNS = 100
MIN_LEAF_SHARE = 0.01  # of the fitted rows


class Feature(NamedTuple):
    """A number column, or whether a text column has one value."""

    name: str
    text: bytes | None
    missing: float  # the number in place of a missing one

    def of(self, columns: dict[str, np.ndarray]) -> np.ndarray:
        """Return the feature of rows."""
        column = columns[self.name]
        if self.text is not None:
            return (column == self.text).astype("float64")
        return np.where(np.isfinite(column), column, self.missing)


class Split(NamedTuple):
    """A node of the tree: a condition, or the outputs of a leaf."""

    feature: Feature | None
    threshold: float
    share: float  # of the fitted rows
    outputs: np.ndarray
    children: tuple["Split", ...] = ()


class Surrogate(NamedTuple):
    """A tree that imitates a model.

    Attributes:
        root: of the tree.
        r2: share of the variance of the model's outputs on test rows that the tree explains.
        agreement: share of test rows with the model's class; None for numbers.
        constant_agreement: the same of the model's most frequent class.
        num_rows: test rows.

    """

    root: Split
    r2: float
    agreement: float | None
    constant_agreement: float | None
    num_rows: int


def fit(model: RowModel, names: list[str], train: Examples, test: Examples) -> Surrogate | None:
    """Fit a tree to the model's outputs of training rows; None without columns for it.

    References:
        Craven and Shavlik, Extracting tree-structured representations of trained networks, 1996.

    """
    from sklearn.tree import DecisionTreeRegressor

    fitted, tested = train.sample(MAX_FITTED_ROWS), test.sample(MAX_TESTED_ROWS)
    features = [one for name in names[:MAX_COLUMNS] for one in _features(model, fitted, name)]
    if not features:
        return None
    tree = DecisionTreeRegressor(
        max_depth=MAX_DEPTH, min_samples_leaf=max(1, int(MIN_LEAF_SHARE * len(fitted)))
    )
    outputs = _outputs(model, fitted)
    # Without the mean, large numbers would lose the digits of small differences.
    offset = outputs.mean(0)
    tree.fit(_matrix(features, fitted), outputs - offset)
    truth = _outputs(model, tested)
    imitated = tree.predict(_matrix(features, tested)).reshape(len(tested), -1) + offset
    return Surrogate(
        _node(tree.tree_, 0, features, offset), *_fidelity(model, truth, imitated), len(tested)
    )


def _fidelity(
    model: RowModel, truth: np.ndarray, imitated: np.ndarray
) -> tuple[float, float | None, float | None]:
    spread = np.square(truth - truth.mean(0)).sum()
    r2 = 1 - np.square(truth - imitated).sum() / spread if spread > 0 else 1.0
    if not model.run.manifest["labels"]:
        return float(r2), None, None
    classes = truth.argmax(1)
    agreement = float((classes == imitated.argmax(1)).mean())
    return float(r2), agreement, float(np.bincount(classes).max() / len(classes))


def _outputs(model: RowModel, examples: Examples) -> np.ndarray:
    return model.outputs(examples.numpy().features).astype("float64").reshape(len(examples), -1)


def _features(model: RowModel, fitted: Examples, name: str) -> list[Feature]:
    kind, column = model.reading.kinds[name], fitted.columns[name][fitted.rows]
    if kind in ("text", "list"):
        return []
    if model.places[name].matrix == "numbers":
        known = column[np.isfinite(column)]
        return [Feature(name, None, float(np.median(known)) if len(known) else 0.0)]
    texts, counts = np.unique(column.astype("S"), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]
    return [Feature(name, text, 0.0) for text in texts[order].tolist()]


def _matrix(features: list[Feature], examples: Examples) -> np.ndarray:
    columns = {name: column[examples.rows] for name, column in examples.columns.items()}
    limit = float(np.finfo("float32").max)  # scikit-learn's trees compare float32
    return np.clip(np.stack([one.of(columns) for one in features], 1), -limit, limit)


def _node(tree: Any, index: int, features: list[Feature], offset: np.ndarray) -> Split:
    share = float(tree.n_node_samples[index] / tree.n_node_samples[0])
    outputs = tree.value[index][:, 0] + offset
    if tree.children_left[index] < 0:
        return Split(None, 0.0, share, outputs)
    children = (tree.children_left[index], tree.children_right[index])
    return Split(
        features[tree.feature[index]],
        float(tree.threshold[index]),
        share,
        outputs,
        tuple(_node(tree, child, features, offset) for child in children),
    )


def conditions(model: RowModel, split: Split) -> tuple[tuple[str, str, str], ...]:
    """Return the conditions of the left and the right branch: column, relation, value."""
    feature = split.feature
    if feature is None:
        return ()
    title = model.titles[feature.name]
    if feature.text is None:
        bound = model.cell(feature.name, split.threshold)
        text = f"{bound:.5g}" if isinstance(bound, float) else str(bound)
        return (title, "<=", text), (title, ">", text)
    text = feature.text.decode("utf-8", "replace") or "missing"
    return (title, "is not", text), (title, "is", text)


def to_json(model: RowModel, split: Split, outputs: dict[str, int]) -> dict[str, Any]:
    """Return the tree as JSON: in each node the share of rows and outputs by name."""
    node: dict[str, Any] = {
        "share": split.share,
        "outputs": {name: float(split.outputs[number]) for name, number in outputs.items()},
    }
    if split.children:
        branches = zip(conditions(model, split), split.children, strict=True)
        node["branches"] = [
            {"condition": " ".join(words), **to_json(model, child, outputs)}
            for words, child in branches
        ]
    return node
