"""Explain the answer for an image: effects of patches and pixels, and the nearest images."""

import itertools
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from inference.explanations import network_features
from inference.explanations.integrated_gradients import integrated_gradients
from inference.explanations.score import Score, class_score
from inference.inputs import Note
from inference.modalities import images
from inference.model_outputs import compiled
from inference.options import ExplainOptions
from inference.values import as_paths, numbered
from pipelines.images.decoding import decode_all
from pipelines.images.file_bytes import read_image_content
from training.run import Run

NAME: ModalityName = "image"
MAX_EXPLAINED_IMAGES = 100
PATCHES_PER_SIDE = 8  # covered one at a time
PREDICTIONS_PER_BATCH = 64
DIGITS = 5  # of the numbers of a map
NO_NETWORK = "the model has no network whose prepared pixels could be changed."
JUMPS = "they do not add up to the change of the score; see occlusion."


class Maps(NamedTuple):
    """What parts of an image add to the score of a class; a map is [height, width] or None.

    Attributes:
        occlusion: fall of the score when a patch is covered by the mean colour of the image.
        integrated_gradients: what each pixel adds in comparison with a black image.
        grad_cam: regions that raise the logit, from 0 to 1.
        method: completeness of the integrated gradients, or why there are none.

    """

    occlusion: np.ndarray
    integrated_gradients: np.ndarray | None
    grad_cam: np.ndarray | None
    method: dict[str, Any]


def explain(
    run: Run,
    inputs: list[str],
    options: ExplainOptions,  # noqa: ARG001
    note: Note,
) -> list[dict[str, Any]]:
    """Explain each image file; an unreadable one has an `error` instead."""
    if len(inputs) > MAX_EXPLAINED_IMAGES:
        note(f"only the first {MAX_EXPLAINED_IMAGES} of {len(inputs):,} images are explained")
        inputs = inputs[:MAX_EXPLAINED_IMAGES]
    predictions = images.predict(run, inputs, note)
    explainer = ImageExplainer(run)
    return [
        one if "error" in one else explainer.explain(one.pop("input"), one) for one in predictions
    ]


def explain_values(
    run: Run, values: Any, options: ExplainOptions, note: Note
) -> list[dict[str, Any]]:
    """Explain an array of images, or image files."""
    if not hasattr(values, "ndim"):
        paths = as_paths(values, "an array of images, or image files")
        return explain(run, paths, options, note)
    with tempfile.TemporaryDirectory() as folder:
        paths = images.write_pixels(values, Path(folder))
        return numbered(
            explain(run, paths, options, note), range(min(len(paths), MAX_EXPLAINED_IMAGES))
        )


def read_pixels(run: Run, name: str) -> np.ndarray:
    """Return the pixels [height, width, channels] of an image file, as the model sees them."""
    content = tf.constant([read_image_content(Path(name))])
    return decode_all(content, images.reading_of(run))[0].numpy()


class ImageExplainer:
    """The model of a run, for explanations of images."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._predict = compiled(run.model)
        self._parts, self._features = network_features.parts_of(run), network_features.of(run)
        self._grad_cam = images.make_explainer(run)

    def explain(self, name: str, prediction: dict[str, Any]) -> dict[str, Any]:
        """Return the explanation of one image file for the predicted class."""
        pixels = read_pixels(self.run, name)
        number = self.run.manifest["labels"].index(prediction["class"])
        score, maps = class_score(self.run, number), self.maps(pixels, number)
        value = float(score.of(self.outputs(pixels[np.newaxis]))[0])
        replaced = f"{PATCHES_PER_SIDE} x {PATCHES_PER_SIDE} patches, covered by the mean colour"
        return {
            "input": name,
            "prediction": prediction,
            "score": {"about": score.title, "value": value},
            "methods": {
                "occlusion": {"replacements": replaced},
                "integrated_gradients": maps.method,
            },
            "maps": {
                name: _rounded(found)
                for name, found in maps._asdict().items()
                if isinstance(found, np.ndarray)
            },
            "nearest": self._nearest(pixels),
        }

    def outputs(self, pixels: np.ndarray) -> np.ndarray:
        """Return the probabilities of images, [n, classes]."""
        batches = np.split(pixels, range(PREDICTIONS_PER_BATCH, len(pixels), PREDICTIONS_PER_BATCH))
        return np.concatenate([np.asarray(self._predict(batch)) for batch in batches])

    def maps(self, pixels: np.ndarray, number: int) -> Maps:
        """Return what parts of an image add to the score of the class with this index."""
        score = class_score(self.run, number)
        gradients, method = self._gradients(pixels, score)
        heat = None
        if self._grad_cam is not None:
            chosen = np.array([number], "int32")
            heat = self._grad_cam.heat(tf.constant(pixels[np.newaxis]), chosen)[0].numpy()
        return Maps(self.occlusion(pixels, score), gradients, heat, method)

    def occlusion(self, pixels: np.ndarray, score: Score) -> np.ndarray:
        """Return the fall of the score for each covered patch, [patches, patches]."""
        edges = [np.linspace(0, side, min(PATCHES_PER_SIDE, side) + 1) for side in pixels.shape[:2]]
        rows, columns = (np.round(one).astype(int) for one in edges)
        mean = pixels.reshape(-1, pixels.shape[-1]).mean(0).round().astype(pixels.dtype)
        covered = [pixels]
        for top, bottom in itertools.pairwise(rows):
            for left, right in itertools.pairwise(columns):
                covered.append(pixels.copy())
                covered[-1][top:bottom, left:right] = mean
        scores = score.of(self.outputs(np.stack(covered)))
        return (scores[0] - scores[1:]).reshape(len(rows) - 1, len(columns) - 1)

    def _gradients(
        self, pixels: np.ndarray, score: Score
    ) -> tuple[np.ndarray | None, dict[str, Any]]:
        """Return what each pixel adds, and how well these numbers add up or why there are none."""
        parts = self._parts
        if parts is None:
            return None, {"not_offered": NO_NETWORK}
        prepared = parts.prepare(np.stack([pixels, np.zeros_like(pixels)]))
        image, black = (tf.nest.map_structure(lambda x, k=k: x[k], prepared) for k in (0, 1))
        found = integrated_gradients(lambda x: score.in_graph(parts.outputs(x)), image, black)
        if not found.complete:
            return None, {"not_offered": JUMPS}
        return found.values.sum(-1), {
            "baseline": "a black image",
            "score_of_baseline": found.start,
            "completeness_error": found.error,
            "steps": found.steps,
        }

    def _nearest(self, pixels: np.ndarray) -> list[dict[str, Any]]:
        """Return the nearest training images in the last hidden layer of the network."""
        if self._features is None:
            return []
        vectors = self._features(pixels[np.newaxis])
        (nearest,) = network_features.nearest_examples(self.run, self._features, vectors)
        files = self.run.splits.train.files
        for one in nearest:
            del one["features"]
            if files is not None:
                one["file"] = str(files[one["example"]])
        return nearest


def _rounded(found: np.ndarray) -> list[Any]:
    """Return a map as lists of numbers with few digits."""
    return [[float(f"{value:.{DIGITS}g}") for value in row] for row in found.tolist()]
