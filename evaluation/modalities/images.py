"""Questions that are images: what a model has to beat, and where it is wrong."""

from typing import Any

import keras
import numpy as np

from evaluation.modalities.baselines import majority, softmax_regression
from evaluation.tasks.classification import Answers
from inference.modalities.grad_cam import heat
from pipelines.examples import Examples
from pipelines.splits import Splits
from training.run import Run

NUM_WORST = 25
NUM_EXPLAINED = 12
LONGEST_NAME = 26  # characters of a file's name in a picture
SMALL = 32  # pixels a side that a linear baseline sees of large images


def baselines(splits: Splits) -> dict[str, Answers]:
    """Trivial answers to the test examples."""
    num_classes, target = len(splits.labels), splits.test.targets
    train, test = _shrunk(splits.train), _shrunk(splits.test)
    given = {
        "majority": majority(splits.train.targets, num_classes, len(target)),
        "softmax_regression": softmax_regression(train, test, num_classes),
    }
    return {name: Answers(probabilities, target) for name, probabilities in given.items()}


def _shrunk(examples: Examples, block: int = 256) -> Examples:
    """The examples with the means of blocks of pixels, of at most about `SMALL` a side."""
    height, width, channels = examples.features.shape[1:]
    by = min(height, width) // SMALL
    if by < 2:
        return examples
    parts = []
    for start in range(0, len(examples), block):
        images = examples.numpy(slice(start, start + block)).features
        images = images[:, : height // by * by, : width // by * by]
        cells = images.reshape(len(images), height // by, by, width // by, by, channels)
        parts.append(cells.mean((2, 4), dtype="float32").round().astype("uint8"))
    return Examples.of(np.concatenate(parts), examples.targets)


def figures(run: Run, answers: Answers) -> dict[str, Any]:
    """The worst mistakes, and where the network looked in them if it has a map of places."""
    drawn = {"worst.png": _worst(answers, run.splits.test, run.splits.labels)}
    explained = _explained(run, answers)
    return drawn if explained is None else drawn | {"grad_cam.png": explained}


def _mistakes(answers: Answers) -> np.ndarray:
    """Positions of the wrong answers, those that were surest of it first."""
    true = answers.probabilities[np.arange(len(answers.target)), answers.target]
    wrong = np.flatnonzero(answers.predicted != answers.target)
    return wrong[np.argsort(true[wrong])]


def _explained(run: Run, answers: Answers) -> Any:
    """A row a mistake: the image, what speaks for the true class, what for the class said."""
    from evaluation.fonts import fonts
    from evaluation.style import pyplot

    rows = _mistakes(answers)[:NUM_EXPLAINED]
    network = next((x for x in run.model.layers if isinstance(x, keras.Model)), None)
    if not len(rows) or network is None:
        return None
    images = run.splits.test.numpy(rows).features
    prepared = keras.ops.convert_to_tensor(run.app.make_preprocessing(run.splits)(images))
    asked = {"true": answers.target[rows], "said": answers.predicted[rows]}
    given = [heat(network, prepared, classes) for classes in asked.values()]
    heats = [found for found in given if found is not None]
    if len(heats) < len(asked):
        return None
    lines = -(-len(rows) // 2)
    figure, axes = pyplot.subplots(
        lines, 6, figsize=(9, 1.75 * lines + 0.6), layout="constrained", squeeze=False
    )
    figure.suptitle(
        "where the network looked (Grad-CAM): mistakes, for the true class, for the said"
    )
    for axis in axes.flat:
        axis.axis("off")
    for number, image in enumerate(images):
        row, column = divmod(number, 2)
        panels = axes[row, 3 * column : 3 * column + 3]
        _show(panels[0], image)
        for axis, regions, (name, classes) in zip(panels[1:], heats, asked.items(), strict=True):
            _show(axis, image)
            height, width = image.shape[:2]
            axis.imshow(
                regions[number],
                cmap="inferno", alpha=0.55, vmin=0, vmax=1,
                extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="bilinear",
            )  # fmt: skip
            label = fonts().drawable(run.splits.labels[classes[number]])
            share = answers.probabilities[rows[number], classes[number]]
            axis.set_title(f"{name}: {label}, {share:.0%}", fontsize=8, parse_math=False)
    return figure


def _show(axis: Any, image: np.ndarray) -> None:
    axis.imshow(image.squeeze(), cmap="gray" if image.shape[-1] == 1 else None, vmin=0, vmax=255)


def _worst(answers: Answers, images: Examples, names: tuple[str, ...]) -> Any:
    from evaluation.fonts import fonts
    from evaluation.style import pyplot

    labels = [fonts().drawable(name) for name in names]
    rows = np.arange(len(answers.target))
    true = answers.probabilities[rows, answers.target]
    wrong = _mistakes(answers)
    worst = wrong[:NUM_WORST]
    lines = max(1, -(-len(worst) // 5))
    figure, axes = pyplot.subplots(
        lines, 5, figsize=(8, 2 * lines + 0.6), layout="constrained", squeeze=False
    )
    figure.suptitle(
        f"the {len(worst)} worst of {len(wrong)} mistakes in {len(rows)} test examples"
        if len(wrong)
        else f"no mistake in {len(rows)} test examples"
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, row in zip(axes.flat, worst, strict=False):
        _show(axis, images.numpy(row).features)
        said = answers.predicted[row]
        axis.set_title(
            f"{labels[answers.target[row]]}, said {labels[said]}\n"
            f"{true[row]:.0%} against {answers.probabilities[row, said]:.0%}\n"
            f"{fonts().drawable(_named(images, row))}",
            fontsize=7,
            parse_math=False,
        )
    return figure


def _named(images: Examples, row: int) -> str:
    """The end of the name of a picture's file, or its number among the examples."""
    if images.files is None:
        return f"test example {row}"
    name = str(images.files[images.rows[row]])
    return name if len(name) <= LONGEST_NAME else f"\u2026{name[1 - LONGEST_NAME :]}"
