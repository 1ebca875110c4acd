"""Build pre-trained networks, with their input range and the source of their weights."""

import contextlib
import dataclasses
import difflib
import os
import re
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from apps.fields import FieldError
from apps.finetune import digits_backbone
from apps.finetune.digits_backbone import DIGITS
from pipelines.files import expand_home

MAX_SILENT_SECONDS = 10.0  # of a server


@dataclasses.dataclass(frozen=True)
class Family:
    """Architectures of keras.applications that differ only in their width.

    Attributes:
        builder: the function's name in keras.applications.
        symmetric: whether it expects pixels from -1 to 1; the others expect 0 to 255 and
            rescale them, so that rescaling happens exactly once.
        widths: width multipliers with published weights; empty if there is one width.

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
NAMES = (
    *(
        f"{name}_{width}" if width else name
        for name, family in FAMILIES.items()
        for width in family.widths or ("",)
    ),
    DIGITS,
)


def require(name: str) -> None:
    """Raise FieldError if there is no backbone of this name; a width of 1.0 may be left out."""
    if _with_width(name) in NAMES:
        return
    matches = difflib.get_close_matches(name, NAMES, 1)
    hint = f" Did you mean {matches[0]!r}?" if matches else ""
    raise FieldError(
        f"Received --backbone {name!r}; expected one of {', '.join(NAMES)}.{hint} "
        "A number is the width multiplier."
    )


def rescaling(name: str) -> Any:
    """Return the layer from pixels, 0 to 255, to float32 in the range of a backbone's input."""
    symmetric = name == DIGITS or FAMILIES[name.partition("_")[0]].symmetric
    scale, offset = (1 / 127.5, -1.0) if symmetric else (1.0, 0.0)
    return keras.layers.Rescaling(scale, offset, dtype="float32")


def learning_rate_scale(name: str) -> float:
    """Return the factor of the learning rate that suits a backbone.

    Networks of keras.applications forget their training above about 1e-4 in the top blocks with
    AdamW, because frozen batch normalisation cannot follow a change of scale.
    """
    return 10.0 if name == DIGITS else 1.0


def build(name: str, side: int, weights: str) -> Any:
    """Return the model from [batch, side, side, 3] to [batch, height, width, channels].

    Args:
        name: one of `NAMES`.
        side: of the square images, in pixels.
        weights: `imagenet`, `none`, a file of weights, or a directory that contains it.

    Raises:
        FieldError: if the weights cannot be found, or belong to another network.

    """
    if name == DIGITS:
        model = digits_backbone.network(side)
        if weights == "imagenet":
            model.set_weights(digits_backbone.pretrained_weights(side))
        elif weights != "none":
            _load(model, _file(DIGITS, expand_home(weights)), DIGITS)
        return model
    kind, _, width = _with_width(name).partition("_")
    options: dict[str, Any] = {"include_top": False, "input_shape": (side, side, 3)}
    if width:
        options["alpha"] = float(width)
    builder = getattr(keras.applications, FAMILIES[kind].builder)
    if weights == "imagenet":
        return _downloaded(lambda: builder(weights="imagenet", **options))
    try:
        with _without_warnings():
            model = builder(weights=None, **options)
    except ValueError as error:
        raise FieldError(
            f"Received --size {side}; expected pictures large enough for {name}: {error}"
        ) from error
    if weights != "none":
        _load(model, _file(name, expand_home(weights)), name)
    return model


def _with_width(name: str) -> str:
    """Return the name with its width: `mobilenet_1.0` for `mobilenet`."""
    kind, _, width = name.partition("_")
    if kind in FAMILIES and FAMILIES[kind].widths:
        return f"{kind}_{width or '1.0'}"
    return name


def _downloaded(make: Any) -> Any:
    """Call `make`, which downloads; raises FieldError, which names the file and its address."""
    try:
        with _short_timeout(), _without_warnings():
            return make()
    except Exception as error:  # Keras raises Exception itself.
        match = re.search(r"URL fetch failure on (\S+?):? ", str(error))
        if isinstance(error, OSError):
            raise FieldError(
                f"Received --weights imagenet, whose download failed ({error}); expected a network "
                "connection. Try again, or name a file with --weights PATH."
            ) from error
        if not match:
            raise
        address = match[1]
        target = _keras_home() / "models" / address.split("/")[-1]
        raise FieldError(
            f"Received --weights imagenet, whose file is missing. Fetch {address} and put it at "
            f"{target}, or name any path with --weights PATH; --weights none starts untrained."
        ) from error


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


@contextlib.contextmanager
def _short_timeout() -> Iterator[None]:
    """Give up a silent server after seconds, not minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(MAX_SILENT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Hide warnings of image sizes without published weights, and of a top that is not loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _file(name: str, path: Path) -> Path:
    """Return the file of weights at a path or in a directory. Raises FieldError if none exists."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise FieldError(
            f"Received --weights {str(path)!r}, which does not exist; expected imagenet, none, a "
            "file of weights (.h5), or a directory that contains it."
        )
    files = sorted(path.glob("*.h5"))
    prefix = _alphanumeric(_with_width(name))
    fitting = [file for file in files if _alphanumeric(file.name).startswith(prefix)]
    if not fitting:
        names = ", ".join(file.name for file in files) or "no .h5 file"
        raise FieldError(
            f"Received --weights {str(path)!r}, which holds {names}; expected a file for {name}, "
            "whose name begins with it. Name the file itself, or choose another --backbone."
        )
    return min(fitting, key=lambda file: len(file.name))


def _alphanumeric(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _load(model: Any, path: Path, name: str) -> None:
    try:
        with _without_warnings():
            model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise FieldError(
            f"Received the weights {str(path)!r}, which are not those of {name}; expected its own, "
            "with or without the top. Choose another file or --backbone."
        ) from error
