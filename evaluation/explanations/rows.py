"""Explain a model of rows: importance, partial dependence, interactions, a surrogate tree."""

from typing import Any

from apps.app import ModalityName
from evaluation.explanations import partial, permutation, surrogate
from evaluation.explanations.explanation import Explanation
from evaluation.explanations.partial import Interaction, PartialDependence
from evaluation.explanations.permutation import Importance
from evaluation.explanations.surrogate import Surrogate
from inference.explanations.row_model import RowModel
from inference.explanations.score import Score, model_scores
from training.run import Run

NAME: ModalityName = "row"
NUM_CURVES = 4  # columns whose partial dependence is drawn
NUM_PAIRED_COLUMNS = 5  # columns whose pairs are tested for interactions
MIN_H = 0.01  # of an interaction that is named
MAX_SCORES = 5  # classes whose scores count in interactions


def explain(run: Run) -> Explanation:
    """Explain the model on test rows; needs the training rows for values and for the tree."""
    from evaluation.explanations import row_figures

    model, splits = RowModel(run), run.splits
    found = permutation.importance(run)
    names = [found.names[k] for k in (-found.means).argsort(kind="stable")]
    curves = _curves(model, names)
    scores = model_scores(run)[:MAX_SCORES]
    pairs = partial.interactions(model, names[:NUM_PAIRED_COLUMNS], splits.test, scores)
    tree = surrogate.fit(model, names, splits.train, splits.test)
    content = {
        "importance": _importance(run, model, found),
        "partial_dependence": [_curve(model, one) for one in curves],
        "interactions": _interactions(model, pairs, scores),
        "surrogate": _surrogate(model, tree),
    }
    figures = {"importance.png": row_figures.importance(model, found)}
    if curves:
        figures["partial_dependence.png"] = row_figures.curves(model, curves)
    if pairs:
        figures["interactions.png"] = row_figures.interactions(model, pairs)
    if tree is not None and tree.root.children:
        figures["surrogate.png"] = row_figures.tree(model, tree)
    return Explanation(content, figures, _lines(content))


def _curves(model: RowModel, names: list[str]) -> list[PartialDependence]:
    """Return the partial dependence of the most important columns that have one."""
    splits = model.run.splits
    curves: list[PartialDependence] = []
    for name in names:
        if len(curves) == NUM_CURVES:
            break
        one = partial.partial_dependence(model, name, splits.train, splits.test)
        if one is not None:
            curves.append(one)
    return curves


def _importance(run: Run, model: RowModel, found: Importance) -> dict[str, Any]:
    loss = "root mean squared error" if not run.manifest["labels"] else "cross-entropy (nats)"
    columns = [
        {"column": model.titles[name], "rise": float(mean), "interval": interval.tolist()}
        for name, mean, interval in zip(found.names, found.means, found.intervals, strict=True)
    ]
    return {
        "loss": loss,
        "rows": found.num_rows,
        "repeats": found.rises.shape[1],
        "columns": sorted(columns, key=lambda one: -one["rise"]),
    }


def _curve(model: RowModel, one: PartialDependence) -> dict[str, Any]:
    shown = partial.shown_output(model)
    return {
        "column": model.titles[one.name],
        "rows": len(one.curves),
        "values": [model.cell(one.name, value) for value in one.values.tolist()],
        "means": {name: one.means[:, number].tolist() for name, number in shown.items()},
    }


def _interactions(model: RowModel, pairs: list[Interaction], scores: list[Score]) -> dict[str, Any]:
    return {
        "scores": [score.title for score in scores],
        "rows": min(partial.MAX_INTERACTION_ROWS, len(model.run.splits.test)),
        "pairs": [
            {"columns": [model.titles[name] for name in one.names], "h": one.h}
            | {"strength": one.strength}
            for one in pairs
        ],
    }


def _surrogate(model: RowModel, tree: Surrogate | None) -> dict[str, Any] | None:
    if tree is None:
        return None
    agreement = {}
    if tree.agreement is not None:
        agreement = {
            "agreement": tree.agreement,
            "agreement_of_most_frequent_class": tree.constant_agreement,
        }
    nodes = surrogate.to_json(model, tree.root, partial.shown_output(model))
    return {"test_rows": tree.num_rows, "r2": tree.r2, **agreement, "tree": nodes}


def _lines(content: dict[str, Any]) -> list[str]:
    """Return sentences about what was found."""
    lines = []
    pairs = content["interactions"]["pairs"]
    if pairs and max(one["h"] for one in pairs) < MIN_H:
        lines.append(
            f"no interaction: H is below {MIN_H} for all pairs of the most important columns"
        )
    elif pairs:
        first = pairs[0]
        lines.append(
            f"strongest interaction: {' and '.join(first['columns'])}, H {first['h']:.2f} "
            f"({first['strength']:.3g} of {content['interactions']['scores'][0]})"
        )
    if tree := content["surrogate"]:
        agreement = (
            f"; it gives the model's class for {tree['agreement']:.1%} of them, the most frequent "
            f"class alone for {tree['agreement_of_most_frequent_class']:.1%}"
            if "agreement" in tree
            else ""
        )
        lines.append(
            f"a tree of depth {surrogate.MAX_DEPTH} explains {tree['r2']:.1%} of the variance of "
            f"the model's outputs on {tree['test_rows']:,} test rows{agreement}"
        )
    return lines


def answer_figures(run: Run, explained: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG001
    """Draw nothing: numbers and words suffice."""
    return {}
