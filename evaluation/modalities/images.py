"""Images: baselines, and figures of the worst mistakes."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from apps.app import ModalityName
from evaluation.modalities.baselines import majority, softmax_regression
from evaluation.slices.cuts import Cut, by_number
from evaluation.tasks.classification import Predictions, of_test_set
from inference.modalities.grad_cam import heat
from pipelines.examples import Examples
from pipelines.files import expand_home
from pipelines.splits import Splits
from training.run import Run

NAME: ModalityName = "image"
NUM_WORST = 25  # mistakes in worst.png
NUM_EXPLAINED = 12  # mistakes in grad_cam.png
MAX_NAME_LENGTH = 26  # characters of a file's name in a figure
BLOCK_SIZE = 1024  # images whose statistics are computed at once
BASELINE_SIDE_PIXELS = 32  # approximate size of images for the softmax regression


def baselines(splits: Splits) -> Iterator[tuple[str, Predictions]]:
    """Predict by class frequencies, and by softmax regression on the pixels."""
    num_classes, target = len(splits.labels), splits.test.targets
    frequencies = majority(splits.train.targets, num_classes, len(target))
    yield "majority", of_test_set(splits, frequencies)
    train, test = _shrink(splits.train), _shrink(splits.test)
    yield "softmax_regression", of_test_set(splits, softmax_regression(train, test, num_classes))


def _shrink(examples: Examples, block: int = 256) -> Examples:
    """Shrink large images to about BASELINE_SIDE_PIXELS a side, by averaging blocks of pixels."""
    height, width, channels = examples.features.shape[1:]
    factor = min(height, width) // BASELINE_SIDE_PIXELS
    if factor < 2:
        return examples
    parts = []
    for start in range(0, len(examples), block):
        images = examples.numpy(slice(start, start + block)).features
        rows, columns = height // factor, width // factor
        images = images[:, : rows * factor, : columns * factor]
        cells = images.reshape(len(images), rows, factor, columns, factor, channels)
        parts.append(cells.mean((2, 4), dtype="float32").round().astype("uint8"))
    shrunk = Examples.of(np.concatenate(parts), examples.targets)
    return dataclasses.replace(shrunk, class_weights=examples.class_weights)


def cuts(run: Run, predictions: Any, rows: np.ndarray) -> list[Cut]:  # noqa: ARG001
    """Cut the images by brightness and contrast, and by the sizes of their files if they differ."""
    test = run.splits.test.select(rows)
    statistics = np.concatenate([*map(_brightness_and_contrast, test.blocks(BLOCK_SIZE))])
    found = [
        by_number(name, column)
        for name, column in zip(("brightness", "contrast"), statistics.T, strict=True)
    ]
    sizes = _pixels(run, test)
    return found if sizes is None else [*found, by_number("pixels of the file", sizes)]


def _brightness_and_contrast(examples: Examples) -> np.ndarray:
    """Return mean and standard deviation of the pixels of each image, from 0 to 255."""
    images = examples.numpy().features
    step = max(1, min(images.shape[1:3]) // BASELINE_SIDE_PIXELS)
    pixels = images[:, ::step, ::step].reshape(len(images), -1)
    return np.stack([pixels.mean(1, dtype="float64"), pixels.std(1, dtype="float64")], axis=1)


def _pixels(run: Run, test: Examples) -> np.ndarray | None:
    """Return width times height of the file of each image; None if they are equal or unknown."""
    if test.files is None or run.app.data.partition(":")[0] != "folder":
        return None
    from PIL import Image, UnidentifiedImageError

    root, sizes = expand_home(run.app.data.partition(":")[2]), np.full(len(test), np.nan)
    for position, name in enumerate(test.files[test.rows]):
        try:
            with Image.open(root / name) as image:
                sizes[position] = image.width * image.height
        except (OSError, UnidentifiedImageError, ValueError):
            return None
    return sizes if np.ptp(sizes) else None


def figures(run: Run, predictions: Predictions) -> dict[str, Any]:
    """Draw the worst mistakes, and their Grad-CAM if the network has a feature map."""
    drawn = {"worst.png": _draw_worst(predictions, run.splits.test, run.splits.labels)}
    grad_cam = _draw_grad_cam(run, predictions)
    return drawn if grad_cam is None else drawn | {"grad_cam.png": grad_cam}


def _mistakes(predictions: Predictions) -> np.ndarray:
    """Return positions of wrong predictions, the lowest probability of the true class first."""
    true = predictions.probabilities[np.arange(len(predictions.target)), predictions.target]
    wrong = np.flatnonzero(predictions.predicted != predictions.target)
    return wrong[np.argsort(true[wrong])]


def _draw_grad_cam(run: Run, predictions: Predictions) -> Any:
    """Draw the worst mistakes, each with the heat maps of the true and the predicted class."""
    from evaluation.fonts import fonts
    from evaluation.style import pyplot

    rows = _mistakes(predictions)[:NUM_EXPLAINED]
    network = next((x for x in run.model.layers if isinstance(x, keras.Model)), None)
    if not len(rows) or network is None:
        return None
    images = run.splits.test.numpy(rows).features
    prepared = keras.ops.convert_to_tensor(run.app.make_preprocessing(run.splits)(images))
    explained = {"true": predictions.target[rows], "predicted": predictions.predicted[rows]}
    maps = [heat(network, prepared, classes) for classes in explained.values()]
    heat_maps = [heat_map for heat_map in maps if heat_map is not None]
    if len(heat_maps) < len(explained):
        return None
    num_lines = -(-len(rows) // 2)
    figure, axes = pyplot.subplots(
        num_lines, 6, figsize=(9, 1.75 * num_lines + 0.6), layout="constrained", squeeze=False
    )
    figure.suptitle(
        "Grad-CAM of mistakes: image, regions for the true class, for the predicted class"
    )
    for axis in axes.flat:
        axis.axis("off")
    for number, image in enumerate(images):
        row, column = divmod(number, 2)
        panels = axes[row, 3 * column : 3 * column + 3]
        _show(panels[0], image)
        for axis, heat_map, (name, classes) in zip(
            panels[1:], heat_maps, explained.items(), strict=True
        ):
            _show(axis, image)
            height, width = image.shape[:2]
            axis.imshow(
                heat_map[number],
                cmap="inferno", alpha=0.55, vmin=0, vmax=1,
                extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="bilinear",
            )  # fmt: skip
            label = fonts().drawable(run.splits.labels[classes[number]])
            probability = predictions.probabilities[rows[number], classes[number]]
            axis.set_title(f"{name}: {label}, {probability:.0%}", fontsize=8, parse_math=False)
    return figure


def _show(axis: Any, image: np.ndarray) -> None:
    axis.imshow(image.squeeze(), cmap="gray" if image.shape[-1] == 1 else None, vmin=0, vmax=255)


def _draw_worst(predictions: Predictions, images: Examples, names: tuple[str, ...]) -> Any:
    from evaluation.fonts import fonts
    from evaluation.style import pyplot

    labels = [fonts().drawable(name) for name in names]
    rows = np.arange(len(predictions.target))
    true = predictions.probabilities[rows, predictions.target]
    wrong = _mistakes(predictions)
    worst = wrong[:NUM_WORST]
    num_lines = max(1, -(-len(worst) // 5))
    figure, axes = pyplot.subplots(
        num_lines, 5, figsize=(8, 2 * num_lines + 0.6), layout="constrained", squeeze=False
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
        predicted = predictions.predicted[row]
        axis.set_title(
            f"{labels[predictions.target[row]]}, predicted {labels[predicted]}\n"
            f"{true[row]:.0%} against {predictions.probabilities[row, predicted]:.0%}\n"
            f"{fonts().drawable(_image_name(images, row))}",
            fontsize=7,
            parse_math=False,
        )
    return figure


def _image_name(images: Examples, row: int) -> str:
    """Return the end of an image's file name, or its number among the test examples."""
    if images.files is None:
        return f"test example {row}"
    name = str(images.files[images.rows[row]])
    return name if len(name) <= MAX_NAME_LENGTH else f"\u2026{name[1 - MAX_NAME_LENGTH :]}"
