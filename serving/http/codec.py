"""Converts between TensorFlow Serving's JSON and the arrays of `predict`."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import orjson

from inference.artifacts import RANKED_LIST_OUTPUTS
from inference.request_errors import RequestError, invalid
from inference.servable import DEFAULT, Servable, Signature, batch_of, check
from serving.http.dense import array, parse_numbers
from serving.http.inflating import GZIP
from serving.http.written_cells import read_cells

SIGNATURE, ROWS, COLUMNS = "signature_name", "instances", "inputs"
# The start of a body that holds a single list.
SINGLE_LIST = re.compile(rb'\s*\{\s*"(instances|inputs)"\s*:\s*(?=\[)')
# Python takes 120 bytes for `[0],` and 290 for `{"a":1},`: about 300 MB for this many. Lists of
# numbers for the only input of a model do not count: they are parsed without Python lists.
MAX_JSON_CONTAINERS = 2**20
# TensorFlow Serving reads these words as numbers, though they are not JSON.
NON_FINITE_WORDS = (b"NaN", b"Infinity")


class PredictRequest(NamedTuple):
    """A request of `predict`.

    Attributes:
        signature: the signature of the model.
        arrays: the inputs by name.
        rows: whether the client sent "instances" (rows) rather than "inputs" (columns).

    """

    signature: Signature
    arrays: dict[str, np.ndarray]
    rows: bool


def parse_request(body: bytes, servable: Servable) -> PredictRequest:
    """Parse the body of a request. Raises RequestError if it is not valid."""
    if request := _parse_single_array(body, servable):
        return request
    content = parse_object(body)
    name = content.get(SIGNATURE)
    if name is not None and not isinstance(name, str):
        raise invalid("Not formatted correctly. 'signature_name' key must be a string value.")
    signature = servable.signature(name)
    if (ROWS in content) == (COLUMNS in content):
        if ROWS in content:
            raise invalid(
                "Not formatted correctly expecting only one of 'inputs' or 'instances' keys"
            )
        raise invalid("Missing 'inputs' or 'instances' key")
    values = (
        _rows(content[ROWS], signature)
        if ROWS in content
        else _columns(content[COLUMNS], signature)
    )
    values = read_cells(values, signature, servable)
    arrays = signature.defaults | {
        name: array(values[name], one, name)
        for name, one in signature.inputs.items()
        if name in values
    }
    check(signature, arrays)
    return PredictRequest(signature, arrays, ROWS in content)


def _parse_single_array(body: bytes, servable: Servable) -> PredictRequest | None:
    """Parse lists of numbers for the only input of the default signature; None for other bodies."""
    signature = servable.signatures.get(DEFAULT)
    head = SINGLE_LIST.match(body)
    if head is None or signature is None or len(signature.inputs) != 1:
        return None
    ((name, tensor),) = signature.inputs.items()
    end = body.rfind(b"}")
    if end < 0 or body[end + 1 :].strip():
        return None
    numbers = parse_numbers(body[head.end() : end], tensor)
    if numbers is None:
        return None
    check(signature, {name: numbers})
    return PredictRequest(signature, {name: numbers}, head[1] == b"instances")


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body. Raises RequestError if there is none."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    if body.count(b"[") + body.count(b"{") > MAX_JSON_CONTAINERS:
        raise invalid(
            f"Received more than {MAX_JSON_CONTAINERS} lists and objects in a body; expected fewer "
            "examples in a request"
        )
    try:
        content = orjson.loads(body)
    except ValueError as error:
        if body.startswith(GZIP):
            raise invalid("The body is gzip; send Content-Encoding: gzip with it") from None
        if not any(word in body for word in NON_FINITE_WORDS):
            raise invalid(f"JSON Parse error: {error}") from None
        content = _parse_non_finite(body)
    if not isinstance(content, dict):
        raise invalid("JSON Value: Is not object")
    return content


def _parse_non_finite(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except RecursionError:
        raise invalid("JSON Parse error: too deeply nested") from None
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from None


def _is_object(value: Any) -> bool:
    """Whether a value holds inputs by name, rather than bytes as {"b64": ...}."""
    return type(value) is dict and not (len(value) == 1 and type(value.get("b64")) is str)


def _rows(rows: Any, signature: Signature) -> dict[str, Any]:
    """Return the values of each input, from a list of examples."""
    if type(rows) is not list:
        raise invalid("Expecting 'instances' to be an list/array")
    if not rows:
        raise invalid("No values in 'instances' array")
    names = signature.inputs.keys()
    if not _is_object(rows[0]):
        if len(names) != 1:
            raise invalid(
                "instances is a plain list, but expecting list of objects as multiple input "
                f"tensors required: {', '.join(names)}"
            )
        for position, row in enumerate(rows):
            if _is_object(row):
                raise invalid(
                    f"Expecting value/list but got object at item {position} of input list"
                )
        return dict.fromkeys(names, rows)
    for position, row in enumerate(rows):
        if not _is_object(row):
            raise invalid(f"Expecting object but got list at item {position} of input list")
        if row.keys() != names:
            raise invalid(
                f"Failed to process element: {position} of 'instances' list. JSON object: keys "
                f"must be equal to: {','.join(names)}; got: {','.join(sorted(row))}"
            )
    return {name: [row[name] for row in rows] for name in names}


def _columns(columns: Any, signature: Signature) -> dict[str, Any]:
    """Return the values of each input, from an object of columns or the only column."""
    names = signature.inputs.keys()
    if not _is_object(columns):
        if len(names) != 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                f"required: {', '.join(names)}"
            )
        return dict.fromkeys(names, columns)
    optional = signature.defaults.keys()
    for name in names:
        if name not in columns and name not in optional:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    # TensorFlow Serving ignores other names; but a wrong name of an optional input would be a
    # request that is silently another one.
    if optional and (wrong := sorted(columns.keys() - names)):
        raise invalid(
            f"Received the input {wrong[0]!r}; expected inputs of {signature.name!r}: "
            f"{', '.join(names)}"
        )
    return columns


def encode_response(request: PredictRequest, arrays: dict[str, np.ndarray]) -> bytes:
    """Return the body of a response, in rows or columns like the request. Raises RequestError."""
    values = {name: _values(name, one) for name, one in arrays.items()}
    if values.keys() >= RANKED_LIST_OUTPUTS and arrays["items"].ndim == 2:
        values = _without_padding(values)
    key = "predictions" if request.rows else "outputs"
    content: dict[str, Any] = {key: values if len(values) > 1 else next(iter(values.values()))}
    if request.rows:
        try:
            batch_of(arrays)
        except RequestError as error:
            raise invalid(
                f"{request.signature.name!r} has no output for each row: {error}"
            ) from None
        if len(values) > 1:
            rows = zip(*values.values(), strict=True)
            content = {key: [dict(zip(values, row, strict=True)) for row in rows]}
    if all(np.isfinite(one).all() for one in arrays.values() if one.dtype.kind == "f"):
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(_non_finite_content(content), ensure_ascii=False).encode()


def _without_padding(outputs: dict[str, Any]) -> dict[str, Any]:
    """Remove the empty names that pad lists of items to the width of the tensor.

    The other outputs of these lists, and the reasons of each item, are shortened too.
    """
    outputs = _without_empty_names(outputs, "items", ("scores", "reasons", "similarities"))
    if "reasons" not in outputs:
        return outputs
    rows = [
        _without_empty_names(
            {"reasons": reasons, "similarities": numbers}, "reasons", ("similarities",)
        )
        for reasons, numbers in zip(outputs["reasons"], outputs["similarities"], strict=True)
    ]
    return outputs | {name: [row[name] for row in rows] for name in ("reasons", "similarities")}


def _without_empty_names(
    outputs: dict[str, Any], names: str, others: tuple[str, ...]
) -> dict[str, Any]:
    """Shorten the lists of names by the empty ones at their ends, and those of other outputs."""
    lengths = [sum(map(bool, row)) for row in outputs[names]]
    return outputs | {
        name: [row[:length] for row, length in zip(outputs[name], lengths, strict=True)]
        for name in (names, *others)
        if name in outputs
    }


def _values(name: str, output: np.ndarray) -> Any:
    """Convert an output for JSON; arrays of numbers stay arrays."""
    if output.dtype.kind in "OS":
        return _map_nested(output.tolist(), _bytes if name.endswith("_bytes") else _text)
    if output.dtype.kind not in "fiub":
        output = output.astype(np.float32)  # orjson does not know bfloat16
    return np.ascontiguousarray(output) if output.ndim else output[()]


def _map_nested(value: Any, convert: Callable[[bytes], Any]) -> Any:
    if isinstance(value, list):
        return [_map_nested(one, convert) for one in value]
    return convert(value)


def _bytes(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _non_finite_content(value: Any) -> Any:
    """Convert for `json`, which writes NaN and Infinity as TensorFlow Serving does."""
    if isinstance(value, dict):
        return {name: _non_finite_content(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_non_finite_content(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        # By way of text: the float32 0.1 stays 0.1 and does not become 0.10000000149011612.
        array = np.asarray(value)
        is_float = array.dtype.kind == "f"
        return (array.astype("U32").astype(np.float64) if is_float else array).tolist()
    return value
