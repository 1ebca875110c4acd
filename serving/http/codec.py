"""TensorFlow Serving's JSON: requests of `predict` become arrays, arrays become answers."""

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
from serving.http.dense import array, plain
from serving.http.inflating import GZIP

SIGNATURE, ROWS, COLUMNS = "signature_name", "instances", "inputs"
# What a body begins with that holds nothing but lists.
ALONE = re.compile(rb'\s*\{\s*"(instances|inputs)"\s*:\s*(?=\[)')
# Python takes 64 bytes for an empty list, which takes 3 bytes in JSON.
MAX_JSON_CONTAINERS = 2**21
# Words of JavaScript that TensorFlow Serving reads as numbers, and JSON does not have.
NO_JSON = (b"NaN", b"Infinity")


class Question(NamedTuple):
    """What a request asks: of which signature, with what, and whether in rows."""

    signature: Signature
    arrays: dict[str, np.ndarray]
    rows: bool


def question(body: bytes, servable: Servable) -> Question:
    """What the body of a request asks. Raises RequestError where it cannot be read."""
    if found := _of_numbers(body, servable):
        return found
    asked = parsed(body)
    name = asked.get(SIGNATURE)
    if name is not None and not isinstance(name, str):
        raise invalid("Not formatted correctly. 'signature_name' key must be a string value.")
    signature = servable.signature(name)
    if (ROWS in asked) == (COLUMNS in asked):
        if ROWS in asked:
            raise invalid(
                "Not formatted correctly expecting only one of 'inputs' or 'instances' keys"
            )
        raise invalid("Missing 'inputs' or 'instances' key")
    values = _rows(asked[ROWS], signature) if ROWS in asked else _columns(asked[COLUMNS], signature)
    arrays = {name: array(values[name], one, name) for name, one in signature.inputs.items()}
    check(signature, arrays)
    return Question(signature, arrays, ROWS in asked)


def _of_numbers(body: bytes, servable: Servable) -> Question | None:
    """A body of nothing but numbers for the only input of the default signature."""
    signature = servable.signatures.get(DEFAULT)
    head = ALONE.match(body)
    if head is None or signature is None or len(signature.inputs) != 1:
        return None
    ((name, tensor),) = signature.inputs.items()
    end = body.rfind(b"}")
    if end < 0 or body[end + 1 :].strip():
        return None
    made = plain(body[head.end() : end], tensor)
    if made is None:
        return None
    check(signature, {name: made})
    return Question(signature, {name: made}, head[1] == b"instances")


def parsed(body: bytes) -> dict[str, Any]:
    """The object in a body. Raises RequestError where there is none."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    if body.count(b"[") + body.count(b"{") > MAX_JSON_CONTAINERS:
        raise invalid(
            f"Received more than {MAX_JSON_CONTAINERS} lists and objects in a body; expected fewer "
            "examples in a request"
        )
    try:
        found = orjson.loads(body)
    except ValueError as error:
        if body.startswith(GZIP):
            raise invalid("The body is gzip; send Content-Encoding: gzip with it") from None
        if not any(word in body for word in NO_JSON):
            raise invalid(f"JSON Parse error: {error}") from None
        found = _with_words(body)
    if not isinstance(found, dict):
        raise invalid("JSON Value: Is not object")
    return found


def _with_words(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except RecursionError:
        raise invalid("JSON Parse error: too deeply nested") from None
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from None


def _is_object(value: Any) -> bool:
    """Whether a value holds inputs by name, and is not itself one of bytes."""
    return type(value) is dict and not (len(value) == 1 and type(value.get("b64")) is str)


def _rows(rows: Any, signature: Signature) -> dict[str, Any]:
    """The values of each input, from a list of examples."""
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
        for place, row in enumerate(rows):
            if _is_object(row):
                raise invalid(f"Expecting value/list but got object at item {place} of input list")
        return dict.fromkeys(names, rows)
    for place, row in enumerate(rows):
        if not _is_object(row):
            raise invalid(f"Expecting object but got list at item {place} of input list")
        if row.keys() != names:
            raise invalid(
                f"Failed to process element: {place} of 'instances' list. JSON object: keys must "
                f"be equal to: {','.join(names)}; got: {','.join(sorted(row))}"
            )
    return {name: [row[name] for row in rows] for name in names}


def _columns(columns: Any, signature: Signature) -> dict[str, Any]:
    """The values of each input, from an object of columns or the only column."""
    names = signature.inputs.keys()
    if not _is_object(columns):
        if len(names) != 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                f"required: {', '.join(names)}"
            )
        return dict.fromkeys(names, columns)
    for name in names:
        if name not in columns:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return columns


def answer(asked: Question, arrays: dict[str, np.ndarray]) -> bytes:
    """The body of an answer, in rows or in columns as the question was. Raises RequestError."""
    values = {name: _values(name, one) for name, one in arrays.items()}
    if values.keys() == RANKED_LIST_OUTPUTS and arrays["items"].ndim == 2:
        values = _shortened(values)
    key = "predictions" if asked.rows else "outputs"
    content: dict[str, Any] = {key: values if len(values) > 1 else next(iter(values.values()))}
    if asked.rows:
        try:
            batch_of(arrays)
        except RequestError as error:
            raise invalid(f"{asked.signature.name!r} does not answer in rows: {error}") from None
        if len(values) > 1:
            rows = zip(*values.values(), strict=True)
            content = {key: [dict(zip(values, row, strict=True)) for row in rows]}
    if all(np.isfinite(one).all() for one in arrays.values() if one.dtype.kind == "f"):
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(_with_infinities(content), ensure_ascii=False).encode()


def _shortened(lists: dict[str, Any]) -> dict[str, list]:
    """Lists of items end where a tensor, which has one width, is filled up with empty names."""
    lengths = [sum(map(bool, items)) for items in lists["items"]]
    return {
        name: [row[:length] for row, length in zip(rows, lengths, strict=True)]
        for name, rows in lists.items()
    }


def _values(name: str, made: np.ndarray) -> Any:
    """An output as JSON has it; arrays of numbers stay arrays."""
    if made.dtype.kind in "OS":
        return _each(made.tolist(), _bytes if name.endswith("_bytes") else _text)
    if made.dtype.kind not in "fiub":
        made = made.astype(np.float32)  # bfloat16 is a type that JSON's writer does not know
    return np.ascontiguousarray(made) if made.ndim else made[()]


def _each(value: Any, convert: Callable[[bytes], Any]) -> Any:
    return [_each(one, convert) for one in value] if isinstance(value, list) else convert(value)


def _bytes(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _with_infinities(value: Any) -> Any:
    """The same for `json`, which writes NaN and Infinity as TensorFlow Serving does."""
    if isinstance(value, dict):
        return {name: _with_infinities(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_infinities(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        # Through text: 0.1 as a float32 is 0.1, not 0.10000000149011612.
        made = np.asarray(value)
        return (made.astype("U32").astype(np.float64) if made.dtype.kind == "f" else made).tolist()
    return value
