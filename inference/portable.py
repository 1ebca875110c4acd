"""A model of numbers alone, for LiteRT and ONNX, and the JSON sidecar with what they lack.

The sidecar holds codes of texts, offsets and labels; the parity check reads them from there.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

FORMAT = 1  # of the JSON beside a model
CODES = (
    "An input with `codes` is a text: give the number that stands there for it, or `unknown`. "
    "Keys are UTF-8; a byte that is none stands as the code point U+DC00 plus the byte."
)
OFFSETS = (
    "From an input with `offset` subtract it in float64 before it becomes float32; to an output "
    "with `offset` add it in float64."
)
LABELS = "The class is `labels` at the place of the largest of `probabilities`."
LISTS = (
    "To recommend: ask the score of a user with each of `candidates`; set it to minus infinity "
    "at the places that `met` names for the user, if those are to be left out; take the highest, "
    "of equals the first."
)
MET_LEFT_OUT = (
    "What users met is left out here, being more than the model: keep it where you keep what they "
    "do. Lists were not replayed, the scores that they are made of were."
)
EXPORTED_POLICY, TRAINED_POLICY = "float32", "mixed_bfloat16"


class RefusedError(RuntimeError):
    """A format cannot hold a part of a run.

    Args:
        message: the part, and what to do instead.
        reason: the part in a few words, for tables.

    """

    exit_status = 1

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class CodeTable:
    """Codes of texts: the first known text has the code `first`, the next ones follow."""

    known: tuple[str, ...]
    first: int
    unknown: int

    @property
    def codes(self) -> dict[str, int]:
        """The code of each known text."""
        return {name: number for number, name in enumerate(self.known, self.first)}


class Lists(NamedTuple):
    """Items that can be recommended, and the places of each user's interactions among them."""

    candidates: list[str]
    interactions: dict[str, list[int]] | None


@dataclasses.dataclass(frozen=True)
class Portable:
    """A run in the form for formats without texts.

    Attributes:
        function: from tensors by name to named outputs.
        inputs: their tf.TensorSpec, in order.
        tables: codes for the inputs that are texts outside of the model.
        offsets: to subtract from an input, and to add to an output, outside of the model.
        outside: sentences about other work outside of the model.
        left_out: by signature of the SavedModel, why it is missing.
        lists: what recommendations need; None for other tasks.

    """

    function: Callable[..., dict[str, Any]]
    inputs: tuple[Any, ...]
    tables: dict[str, CodeTable] = dataclasses.field(default_factory=dict)
    offsets: dict[str, float] = dataclasses.field(default_factory=dict)
    outside: tuple[str, ...] = ()
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    lists: "Lists | None" = None


def as_float32(model: Any) -> Any:
    """Return the same model with all arithmetic in float32: small runtimes lack bfloat16."""
    import keras

    written = model.to_json()
    if TRAINED_POLICY not in written:
        return model
    converted = keras.models.model_from_json(written.replace(TRAINED_POLICY, EXPORTED_POLICY))
    converted.set_weights(model.get_weights())
    return converted


def tail_model(model: Any, layer: Any) -> Callable[[Any], Any]:
    """Return the part of a model after a layer, as a function of the layer's output."""
    import keras

    # A list: tensors of a dict lose their names as inputs of a model.
    rest = keras.Model(keras.tree.flatten(layer.output), model.output)
    return lambda given: rest(keras.tree.flatten(given), training=False)


def sidecar(
    portable: Portable, manifest: dict[str, Any], outputs: dict[str, Any]
) -> dict[str, Any]:
    """Return the content of the JSON beside a model: how to call it.

    `outputs` are the output tensors of the function, by name.
    """
    labels = list(manifest["labels"])
    content: dict[str, Any] = {
        "format": FORMAT,
        "app": manifest["app"],
        "answer": manifest["answer"],
        "inputs": [_input(spec, portable) for spec in portable.inputs],
        "outputs": [_tensor(name, spec, portable) for name, spec in sorted(outputs.items())],
        "labels": labels,
    }
    outside = [*portable.outside]
    outside += [CODES] * bool(portable.tables) + [LABELS] * bool(labels)
    outside += [OFFSETS] * any(portable.offsets.values())
    if portable.lists is not None:
        outside.append(LISTS)
        content["recommend"] = {"candidates": portable.lists.candidates}
        if portable.lists.interactions is None:
            outside.append(MET_LEFT_OUT)
        else:
            content["recommend"]["met"] = portable.lists.interactions
    return content | {"outside": outside}


def _input(spec: Any, portable: Portable) -> dict[str, Any]:
    found, table = _tensor(spec.name, spec, portable), portable.tables.get(spec.name)
    return found if table is None else found | {"codes": table.codes, "unknown": table.unknown}


def _tensor(name: str, spec: Any, portable: Portable) -> dict[str, Any]:
    found = {"name": name, "dtype": spec.dtype.name, "shape": spec.shape.as_list()}
    shift = portable.offsets.get(name)
    return found | {"offset": shift} if shift else found
