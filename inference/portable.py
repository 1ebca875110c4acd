"""Make a model of numbers for LiteRT and ONNX, and a JSON sidecar with the parts they lack.

The sidecar holds codes of texts, offsets and labels; the parity check reads them from there.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

FORMAT = 1  # version of the sidecar
CODES = (
    "An input with `codes` is a text: pass its number in `codes`, or `unknown`. Keys are UTF-8; "
    "each byte that is not UTF-8 is the code point U+DC00 plus the byte."
)
CHARACTERS = (
    "An input with `characters` is a text: put it in lower case, replace each run of blanks and "
    "control characters by one blank, add a blank before and after it, and pass its Unicode code "
    "points, at most as many as `characters`, then zeros. An empty text is all zeros."
)
ITEMS = (
    "An input with `items` is a list: split the text at `separator`, after its brackets are "
    "removed if `bracketed` is true, and strip blanks and quotes of each item. Pass 1 for each of "
    "`items` that is in the list and 0 for the others, then the number of items that are not empty."
)
OFFSETS = (
    "Subtract `offset` from an input in float64, before you convert the input to float32; add "
    "`offset` to an output in float64."
)
LABELS = "The class is the element of `labels` at the index of the largest of `probabilities`."
DECISION = (
    "The class is chosen by `decision`: with a `threshold`, it is `positive` from that probability "
    "on, and the other class below; else, with `costs`, of which a row is a true class, it is the "
    "class with the lowest sum of probabilities times costs, in float64; else the most probable "
    "one. With `abstain` it is `unsure` if the largest probability is lower than that."
)
SETS = (
    "The set of classes holds each class before which, in the order of falling probability, all "
    "others have at most `coverage.threshold` together."
)
INTERVALS = (
    "The interval is the value or rating, less and plus `coverage.quantile` times the spread: that "
    "of `coverage.spreads` at the points `coverage.at`, linear between them and constant beyond; "
    "the point is `rating_std` if there is one, else the value or rating."
)
LISTS = (
    "To recommend items, compute the score of a user with each of `candidates`; to leave out the "
    "user's interactions, set the score to minus infinity at the user's indices in `met`; take "
    "the highest scores, the first of equal ones."
)
INTERACTIONS_LEFT_OUT = (
    "The users' interactions are left out here, because they are larger than the model: take them "
    "from your own records. The parity check compared scores, not lists."
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
    """Codes of texts: the known texts have the codes `first`, `first` + 1 and so on."""

    known: tuple[str, ...]
    first: int
    unknown: int

    @property
    def codes(self) -> dict[str, int]:
        """The code of each known text."""
        return {name: number for number, name in enumerate(self.known, self.first)}


class Lists(NamedTuple):
    """Items that can be recommended, and the indices of each user's interactions among them."""

    candidates: list[str]
    interactions: dict[str, list[int]] | None


@dataclasses.dataclass(frozen=True)
class Portable:
    """A run in the form for formats without texts.

    Attributes:
        function: maps tensors by name to named outputs.
        inputs: the tf.TensorSpec of each tensor, in order.
        tables: codes of the inputs that are texts outside of the model.
        details: further entries of an input in the sidecar, which say how to encode it.
        offsets: numbers to subtract from an input, or to add to an output, outside of the model.
        outside: sentences about further work outside of the model.
        left_out: missing signatures of the SavedModel, each with the reason.
        lists: candidates and interactions for recommendations; None for other tasks.

    """

    function: Callable[..., dict[str, Any]]
    inputs: tuple[Any, ...]
    tables: dict[str, CodeTable] = dataclasses.field(default_factory=dict)
    details: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
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
    return lambda output: rest(keras.tree.flatten(output), training=False)


def sidecar(
    portable: Portable, manifest: dict[str, Any], outputs: dict[str, Any]
) -> dict[str, Any]:
    """Return the content of the sidecar of a model, which says how to call it.

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
        "coverage": manifest.get("coverage"),
        "decision": manifest.get("decision"),
    }
    outside = [*portable.outside]
    outside += [CODES] * bool(portable.tables) + [_class_rule(manifest)] * bool(labels)
    outside += [OFFSETS] * any(portable.offsets.values())
    if manifest.get("coverage"):
        outside.append(SETS if labels else INTERVALS)
    if portable.lists is not None:
        outside.append(LISTS)
        content["recommend"] = {"candidates": portable.lists.candidates}
        if portable.lists.interactions is None:
            outside.append(INTERACTIONS_LEFT_OUT)
        else:
            content["recommend"]["met"] = portable.lists.interactions
    return content | {"outside": outside}


def _class_rule(manifest: dict[str, Any]) -> str:
    return DECISION if manifest.get("decision") else LABELS


def _input(spec: Any, portable: Portable) -> dict[str, Any]:
    content, table = _tensor(spec.name, spec, portable), portable.tables.get(spec.name)
    content |= portable.details.get(spec.name, {})
    return content if table is None else content | {"codes": table.codes, "unknown": table.unknown}


def _tensor(name: str, spec: Any, portable: Portable) -> dict[str, Any]:
    content = {"name": name, "dtype": spec.dtype.name, "shape": spec.shape.as_list()}
    offset = portable.offsets.get(name)
    return content | {"offset": offset} if offset else content
