"""The export formats and the packages that they need; imports no TensorFlow."""

import difflib
import importlib.util

from apps.fields import FieldError

# The packages that write and check each format.
FORMATS: dict[str, tuple[str, ...]] = {
    "savedmodel": (),
    "litert": ("ai_edge_litert",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
}


def parse_formats(names: str, quantize: str | None = None) -> list[str]:
    """Parse a comma-separated list of formats. The result always starts with the SavedModel.

    Raises FieldError for an unknown format, missing packages, or `quantize` without LiteRT.
    """
    requested = dict.fromkeys(name.strip().lower() for name in names.split(",") if name.strip())
    for name in requested:
        if name not in FORMATS:
            near = difflib.get_close_matches(name, FORMATS, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise FieldError(
                f"Received --format {names}; expected some of {', '.join(FORMATS)}.{hint}"
            )
    needed = [package for name in requested for package in FORMATS[name]]
    missing = [package for package in needed if not importlib.util.find_spec(package)]
    if missing:
        raise FieldError(
            f"Received --format {names} without {' and '.join(missing)}; expected the extra "
            "`edge`: pip install 'athanor[edge]'."
        )
    if quantize and "litert" not in requested:
        raise FieldError(
            f"Received --quantize {quantize} with --format {names}; expected litert among the "
            "formats: --format litert."
        )
    return ["savedmodel", *(name for name in requested if name != "savedmodel")]
