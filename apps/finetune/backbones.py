"""Networks that somebody trained before: what they see, and where their weights come from."""

import concurrent.futures
import contextlib
import dataclasses
import difflib
import functools
import os
import re
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.fields import FieldError
from apps.networks import FusedBatchNormalization
from pipelines.files import at_home

PATIENCE = 10.0  # seconds that a server may be silent


@dataclasses.dataclass(frozen=True)
class Family:
    """Architectures of keras.applications that differ in a width alone.

    Attributes:
        builder: the function's name in keras.applications.
        symmetric: whether it wants pixels from -1 to 1; the others take 0 to 255
            and rescale within, so that rescaling happens exactly once.
        widths: multipliers with published weights; none where there is one width.

    """

    builder: str
    symmetric: bool = False
    widths: tuple[str, ...] = ()


FAMILIES = {
    "mobilenet": Family("MobileNet", symmetric=True, widths=("0.25", "0.5", "0.75", "1.0")),
    "mobilenetv2": Family(
        "MobileNetV2", symmetric=True, widths=("0.35", "0.5", "0.75", "1.0", "1.3", "1.4")
    ),
    "mobilenetv3small": Family("MobileNetV3Small", widths=("0.75", "1.0")),
    "mobilenetv3large": Family("MobileNetV3Large", widths=("0.75", "1.0")),
    "efficientnetb0": Family("EfficientNetB0"),
    "efficientnetv2b0": Family("EfficientNetV2B0"),
    "efficientnetv2b1": Family("EfficientNetV2B1"),
    "efficientnetv2b2": Family("EfficientNetV2B2"),
    "efficientnetv2b3": Family("EfficientNetV2B3"),
    "efficientnetv2s": Family("EfficientNetV2S"),
    "convnexttiny": Family("ConvNeXtTiny"),
    "convnextsmall": Family("ConvNeXtSmall"),
    "resnet50v2": Family("ResNet50V2", symmetric=True),
    "resnet101v2": Family("ResNet101V2", symmetric=True),
    "xception": Family("Xception", symmetric=True),
}
DIGITS = "digits"
NAMES = (
    *(
        f"{name}_{width}" if width else name
        for name, family in FAMILIES.items()
        for width in family.widths or ("",)
    ),
    DIGITS,
)


def require(name: str) -> None:
    """Raise FieldError unless there is a backbone of this name; a width of 1.0 may be left out."""
    if _full(name) in NAMES:
        return
    near = difflib.get_close_matches(name, NAMES, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise FieldError(
        f"Received --backbone {name!r}; expected one of {', '.join(NAMES)}.{hint} "
        "A number is the width multiplier."
    )


def rescaling(name: str) -> Any:
    """The layer from pixels, 0 to 255, to float32 in the range that a backbone was trained on."""
    symmetric = name == DIGITS or FAMILIES[name.partition("_")[0]].symmetric
    scale, offset = (1 / 127.5, -1.0) if symmetric else (1.0, 0.0)
    return keras.layers.Rescaling(scale, offset, dtype="float32")


def pace(name: str) -> float:
    """How many times as large a learning rate a backbone stands as those of keras.applications.

    Those lose what they know beyond about 1e-4 in their top blocks with AdamW: batch
    normalisation as it came follows no change of scale.
    """
    return 10.0 if name == DIGITS else 1.0


def build(name: str, side: int, weights: str) -> Any:
    """The model from [batch, side, side, 3] to [batch, height, width, channels].

    Args:
        name: one of `NAMES`.
        side: of the square pictures, in pixels.
        weights: `imagenet`, `none`, a file of weights, or a directory that holds it.

    Raises:
        FieldError: where the weights cannot be had, or are another network's.

    """
    if name == DIGITS:
        return digits(side, weights)
    kind, _, width = _full(name).partition("_")
    options: dict[str, Any] = {"include_top": False, "input_shape": (side, side, 3)}
    if width:
        options["alpha"] = float(width)
    builder = getattr(keras.applications, FAMILIES[kind].builder)
    if weights == "imagenet":
        return _downloaded(lambda: builder(weights="imagenet", **options))
    try:
        with _quiet():
            model = builder(weights=None, **options)
    except ValueError as error:
        raise FieldError(
            f"Received --size {side}; expected pictures large enough for {name}: {error}"
        ) from error
    if weights != "none":
        _load(model, _file(name, at_home(weights)), name)
    return model


def _full(name: str) -> str:
    """The name with its width: `mobilenet` is `mobilenet_1.0`."""
    kind, _, width = name.partition("_")
    if kind in FAMILIES and FAMILIES[kind].widths:
        return f"{kind}_{width or '1.0'}"
    return name


def _downloaded(make: Any) -> Any:
    """What `make` returns, or a FieldError that names the file which could not be fetched."""
    try:
        with _impatient(), _quiet():
            return make()
    except Exception as error:  # Keras raises Exception itself.
        found = re.search(r"URL fetch failure on (\S+?):? ", str(error))
        if isinstance(error, OSError):
            raise FieldError(
                f"Received --weights imagenet, whose download broke off ({error}); expected a "
                "network. Try again, or name a file with --weights PATH."
            ) from error
        if not found:
            raise
        address = found[1]
        place = _keras_home() / "models" / address.split("/")[-1]
        raise FieldError(
            f"Received --weights imagenet, and the network is missing. Fetch {address} and put it "
            f"at {place}, or name any place with --weights PATH; --weights none begins untrained."
        ) from error


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """A silent server is given up after seconds, not minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of sizes that weights were not trained at, nor of a top that is not loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _file(name: str, path: Path) -> Path:
    """The file of weights that a path means. Raises FieldError where there is none."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise FieldError(
            f"Received --weights {str(path)!r}, which does not exist; expected imagenet, none, a "
            "file of weights (.h5), or a directory that holds it."
        )
    files = sorted(path.glob("*.h5"))
    fitting = [file for file in files if _plain(file.name).startswith(_plain(_full(name)))]
    if not fitting:
        there = ", ".join(file.name for file in files) or "no .h5 file"
        raise FieldError(
            f"Received --weights {str(path)!r}, which holds {there}; expected a file for {name}, "
            "whose name begins with it. Name the file itself, or choose another --backbone."
        )
    return min(fitting, key=lambda file: len(file.name))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _load(model: Any, path: Path, name: str) -> None:
    try:
        with _quiet():
            model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise FieldError(
            f"Received the weights {str(path)!r}, which are not those of {name}; expected its own, "
            "with or without the top. Choose another file or --backbone."
        ) from error


def digits(side: int, weights: str) -> Any:
    """A small network that learns the digits 0 to 4 of the embedded set now, in seconds.

    Real handwriting, shipped inside scikit-learn; nothing is downloaded, and the
    digits 5 to 9, which an app may learn on top, are not looked at. With the
    weights `none` it stays untrained. Every call gives the same weights.
    """
    model = _digits_network(side)
    if weights == "imagenet":
        model.set_weights(_digits_weights(side))
    elif weights != "none":
        _load(model, _file(DIGITS, at_home(weights)), DIGITS)
    return model


def _digits_network(side: int) -> Any:
    images = keras.Input((side, side, 3))
    x = images
    for number, (width, stride) in enumerate(((32, 1), (64, 2), (96, 1))):
        x = keras.layers.Conv2D(
            width,
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=number),
        )(x)
        x = FusedBatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    return keras.Model(images, x, name=DIGITS)


@functools.cache
def _digits_weights(side: int) -> list[np.ndarray]:
    """The weights after training on the digits 0 to 4, for pictures of `side` pixels.

    Learnt on one device also in a strategy's scope: replicas would keep statistics of their own.
    """
    if not tf.distribute.has_strategy():
        return _learnt_digits(side)
    policy = keras.config.dtype_policy()

    def learn() -> list[np.ndarray]:
        keras.config.set_dtype_policy(policy)
        return _learnt_digits(side)

    # A scope is its thread's own.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(learn).result()


def _learnt_digits(side: int, epochs: int = 10, batch: int = 50) -> list[np.ndarray]:
    from pipelines import embedded
    from pipelines.images import photos

    source = embedded.low_digits(photos.FitPhoto((side, side, 3)))
    pixels, target = source.train.numpy()
    backbone = _digits_network(side)
    x = keras.layers.GlobalAveragePooling2D()(backbone.output)
    x = keras.layers.Dense(5, kernel_initializer=keras.initializers.GlorotUniform(seed=9))(x)
    model = keras.Model(backbone.input, x)
    steps = epochs * (len(target) // batch)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    order = np.concatenate(
        [np.random.default_rng(epoch).permutation(len(target)) for epoch in range(epochs)]
    )
    model.fit(
        (pixels[order] / 127.5 - 1).astype("float32"),
        target[order],
        batch_size=batch,
        shuffle=False,
        verbose=0,
    )
    return backbone.get_weights()
