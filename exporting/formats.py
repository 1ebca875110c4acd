"""The export formats and their packages; without TensorFlow, for the command line."""

import difflib
import importlib.util

from apps.fields import FieldError

# With the packages that write and check each.
FORMATS: dict[str, tuple[str, ...]] = {
    "savedmodel": (),
    "litert": ("ai_edge_litert",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
}


def parse_formats(names: str, quantize: str | None = None) -> list[str]:
    """Parse a comma-separated list of formats. The result always starts with the SavedModel.

    Raises FieldError for an unknown format, missing packages, or `quantize` without LiteRT.
    """
    wanted = dict.fromkeys(name.strip().lower() for name in names.split(",") if name.strip())
    for name in wanted:
        if name not in FORMATS:
            near = difflib.get_close_matches(name, FORMATS, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise FieldError(
                f"Received --format {names}; expected some of {', '.join(FORMATS)}.{hint}"
            )
    needed = [package for name in wanted for package in FORMATS[name]]
    missing = [package for package in needed if not importlib.util.find_spec(package)]
    if missing:
        raise FieldError(
            f"Received --format {names} without {' and '.join(missing)}; expected the extra "
            "`edge`: pip install 'athanor[edge]'."
        )
    if quantize and "litert" not in wanted:
        raise FieldError(
            f"Received --quantize {quantize} with --format {names}; expected litert among the "
            "formats: --format litert."
        )
    return ["savedmodel", *(name for name in wanted if name != "savedmodel")]
