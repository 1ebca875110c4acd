"""Boosted trees of scikit-learn as arrays of complete trees, which a Keras layer evaluates."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

DEPTH = 6  # levels of decisions
MAX_CATEGORIES = 24  # of an input: as many bits as float32 represents exactly
MIN_GAP_ULP = 32.0  # between two values that a threshold divides, in units of float32's last place
MAX_MOVED_VALUES = 64  # distinct values that a threshold may pass to find a wider gap
GOLDEN_SECTION = 0.382  # of an interval, where few decimal numbers lie


@dataclasses.dataclass(frozen=True, eq=False)
class BoostedTrees:
    """An ensemble of complete binary trees.

    A decision sends numbers above its threshold to the right. Category k of a categorical input is
    given as the number 2^-k; the threshold is then the sum of 2^k over the categories that go to
    the right, so that category k does if floor(threshold 2^-k) is odd.

    Attributes:
        columns: index of the tested input, int32 [trees, 2^DEPTH - 1], level by level.
        thresholds: float32 [trees, 2^DEPTH - 1].
        values: of the leaves from left to right, float32 [trees, 2^DEPTH]. Tree t belongs to
            output t % outputs.
        bias: prediction without any tree, float32 [outputs].

    """

    columns: np.ndarray
    thresholds: np.ndarray
    values: np.ndarray
    bias: np.ndarray

    def weights(self) -> list[np.ndarray]:
        """Return the weights of the layer `TreeEnsemble`."""
        return [self.columns, self.thresholds, self.values, self.bias]


def complete_trees(
    model: Any, values: Sequence[np.ndarray], num_categorical: int = 0
) -> BoostedTrees:
    """Return the trees of scikit-learn's HistGradientBoosting as complete trees.

    Raises ValueError if a tree is deeper than DEPTH.

    Args:
        model: fitted to float32 numbers.
        values: the values of each input in training, sorted.
        num_categorical: the number of inputs that are categories, which come first.

    """
    trees = [
        _complete(tree, values, num_categorical)
        for iteration in model._predictors
        for tree in iteration
    ]
    columns, thresholds, leaves = (np.stack(parts) for parts in zip(*trees, strict=True))
    bias = np.ravel(model._baseline_prediction).astype("float32")
    return BoostedTrees(columns, thresholds, leaves, bias)


def _complete(
    tree: Any, values: Sequence[np.ndarray], num_categorical: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lay the nodes of a tree out level by level; a leaf above the last level is repeated."""
    nodes = tree.nodes
    if nodes["depth"].max() > DEPTH:
        raise ValueError(f"Received a tree of {nodes['depth'].max()} levels; expected {DEPTH}.")
    node_thresholds = np.zeros(len(nodes), "float32")
    for index in np.flatnonzero(nodes["is_leaf"] == 0):
        node = nodes[index]
        own = values[node["feature_idx"]]
        if node["is_categorical"]:
            left = tree.raw_left_cat_bitsets[node["bitset_idx"]]
            node_thresholds[index] = _bits_to_the_right(node, left, own.astype("int64"))
        else:
            node_thresholds[index] = _between(own, node["num_threshold"])
    # A leaf sends everything left, from an input that is a category or a number.
    always_left = 0.0 if num_categorical else np.inf
    at, levels = np.zeros(1, "int64"), []  # the node of the original tree at each position
    for _ in range(DEPTH):
        is_inner = nodes["is_leaf"][at] == 0
        columns = np.where(is_inner, nodes["feature_idx"][at], 0)
        thresholds = np.where(is_inner, node_thresholds[at], always_left)
        levels.append((columns.astype("int32"), thresholds.astype("float32")))
        children = [np.where(is_inner, nodes[side][at], at) for side in ("left", "right")]
        at = np.stack(children, 1).ravel()
    columns, thresholds = (np.concatenate(parts) for parts in zip(*levels, strict=True))
    return columns, thresholds, nodes["value"][at].astype("float32")


def _bits_to_the_right(node: Any, left: np.ndarray, codes: np.ndarray) -> float:
    """Return the sum of 2^k over the categories that a node sends to the right.

    Bit k of `left` is set if category codes[k] goes to the left.
    """
    goes_right = np.full(MAX_CATEGORIES, not node["missing_go_to_left"])
    for place, code in enumerate(codes):
        goes_right[code] = not left[place // 32] >> (place % 32) & 1
    return float((goes_right * 2.0 ** np.arange(MAX_CATEGORIES)).sum())


def _between(values: np.ndarray, threshold: float) -> float:
    """Return a float32 that divides sorted values as the threshold does.

    scikit-learn's thresholds are midpoints, which new examples often equal: they would change
    sides with the last digit. This one is elsewhere between the same two values.
    """
    position = int(np.searchsorted(values, threshold, "right"))
    position = _wide_gap(values, position)
    low, high = values[position - 1], values[min(position, len(values) - 1)]
    between = np.float32(low + GOLDEN_SECTION * (high - low))
    return float(between if between < high else low)


def _wide_gap(values: np.ndarray, position: int) -> int:
    """Return the position, or if its values differ by rounding only, that of a wider gap nearby.

    A runtime that rounds otherwise would send a new example between such values elsewhere.
    """
    start = max(1, position - MAX_MOVED_VALUES)
    near = values[start - 1 : position + MAX_MOVED_VALUES + 1].astype("float64")
    ulp = np.spacing(np.abs(near).astype("float32"))
    gaps = np.diff(near) / np.maximum(ulp[1:], ulp[:-1])
    own = position - start
    if not len(gaps) or own >= len(gaps) or gaps[own] >= MIN_GAP_ULP:
        return position
    wide = np.flatnonzero(gaps >= min(MIN_GAP_ULP, gaps.max()))
    return start + int(wide[np.abs(wide - own).argmin()])
