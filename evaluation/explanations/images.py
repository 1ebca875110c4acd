"""Explain a model of images: an example of each class, and the regions behind its answer."""

from typing import Any, NamedTuple

import numpy as np

from apps.app import ModalityName
from evaluation.explanations.explanation import Explanation
from inference.explanations.images import ImageExplainer, Maps, read_pixels
from inference.model_outputs import predict_all
from training.run import Run

NAME: ModalityName = "image"
MAX_CLASSES = 10  # that have an example, those with most test images
MAX_SEARCHED_IMAGES = 2000  # test images among which examples are chosen
MAX_DRAWN_IMAGES = 12  # explained inputs
MAPS = ("occlusion", "integrated_gradients", "grad_cam")
TITLES = {
    "image": "image",
    "occlusion": "occlusion",
    "integrated_gradients": "integrated gradients",
    "grad_cam": "Grad-CAM",
}


class Example(NamedTuple):
    """A test image that the model classifies rightly with the typical confidence of its class."""

    label: str
    number: int  # among the test images
    probability: float
    pixels: np.ndarray
    maps: Maps


def explain(run: Run) -> Explanation:
    """Explain a typical right answer of each class; a mean over images would show no object."""
    examples = _examples(run)
    missing = len(run.manifest["labels"]) - len(examples)
    content = {
        "examples": [
            {
                "class": one.label,
                "test_example": one.number,
                "probability": one.probability,
                "occlusion": one.maps.occlusion.tolist(),
                "strongest_patch": _strongest(one.maps.occlusion),
                "integrated_gradients": one.maps.method,
            }
            for one in examples
        ]
    }
    lines = [f"{len(examples)} classes have an example"]
    if missing:
        lines.append(f"{missing} further classes are not shown")
    figures = {"class_examples.png": _draw(examples)} if examples else {}
    return Explanation(content, figures, lines)


def answer_figures(run: Run, explained: list[dict[str, Any]]) -> dict[str, Any]:
    """Draw the explained images, each beside what raises or lowers its score."""
    shown = [one for one in explained if "maps" in one][:MAX_DRAWN_IMAGES]
    if not shown:
        return {}
    from evaluation.fonts import fonts

    maps, titles = [], []
    for one in shown:
        arrays = {name: np.array(found) for name, found in one["maps"].items()}
        maps.append(
            Maps(
                arrays["occlusion"], arrays.get("integrated_gradients"), arrays.get("grad_cam"), {}
            )
        )
        prediction = one["prediction"]
        label = fonts().short(prediction["class"], 18)
        titles.append(f"{label}, {prediction['probability']:.0%}")
    images = [read_pixels(run, one["input"]) for one in shown]
    return {"explained.png": draw_maps(images, maps, titles)}


def _examples(run: Run) -> list[Example]:
    """Return the right answer of each class whose probability is the median of the class."""
    test = run.splits.test.sample(MAX_SEARCHED_IMAGES)
    outputs, targets, labels = predict_all(run.model, test), test.targets, run.manifest["labels"]
    counts = np.bincount(targets, minlength=len(labels))
    explainer, examples = ImageExplainer(run), []
    for number in np.sort(np.argsort(-counts, kind="stable")[:MAX_CLASSES]).tolist():
        right = np.flatnonzero((targets == number) & (outputs.argmax(1) == number))
        if not len(right):
            continue
        order = right[np.argsort(outputs[right, number], kind="stable")]
        row = int(order[len(order) // 2])
        pixels = test.numpy([row]).features[0]
        place = int(np.flatnonzero(run.splits.test.rows == test.rows[row])[0])
        probability = float(outputs[row, number])
        maps = explainer.maps(pixels, number)
        examples.append(Example(labels[number], place, probability, pixels, maps))
    return examples


def _strongest(occlusion: np.ndarray) -> dict[str, float]:
    """Return the patch whose cover lowers the score most: its row, column and effect."""
    row, column = np.unravel_index(int(occlusion.argmax()), occlusion.shape)
    return {"row": int(row), "column": int(column), "effect": float(occlusion[row, column])}


def _draw(examples: list[Example]) -> Any:
    """Draw each example beside its maps."""
    from evaluation.fonts import fonts

    titles = [f"{fonts().short(one.label, 18)}, {one.probability:.0%}" for one in examples]
    return draw_maps([one.pixels for one in examples], [one.maps for one in examples], titles)


def draw_maps(images: list[np.ndarray], maps: list[Maps], titles: list[str]) -> Any:
    """Draw images, each beside the maps of what raises the score (blue) and lowers it (red)."""
    from evaluation.style import pyplot

    fields = [name for name in MAPS if any(_is_map(getattr(one, name)) for one in maps)]
    names = ["image", *fields]
    figure, axes = pyplot.subplots(
        len(images), len(names), figsize=(1.9 * len(names), 1.75 * len(images) + 0.7),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for row, (image, found, title) in enumerate(zip(images, maps, titles, strict=True)):
        axes[row, 0].set_title(title, fontsize=8, parse_math=False)
        for axis, name in zip(axes[row], names, strict=True):
            axis.axis("off")
            _draw_image(axis, image)
            if name != "image" and _is_map(getattr(found, name)):
                _draw_map(axis, image, getattr(found, name), is_signed=name != "grad_cam")
            if row == 0 and name != "image":
                axis.set_title(TITLES[name], fontsize=8)
    figure.suptitle("parts that raise the score of the class (blue) or lower it (red)", fontsize=9)
    return figure


def _is_map(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _draw_image(axis: Any, image: np.ndarray) -> None:
    axis.imshow(image.squeeze(), cmap="gray" if image.shape[-1] == 1 else None, vmin=0, vmax=255)


def _draw_map(axis: Any, image: np.ndarray, found: np.ndarray, *, is_signed: bool) -> None:
    height, width = image.shape[:2]
    limit = max(float(np.abs(found).max()), 1e-9)
    axis.imshow(
        found,
        cmap="RdBu" if is_signed else "inferno",
        vmin=-limit if is_signed else 0, vmax=limit, alpha=0.75,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="nearest",
    )  # fmt: skip
