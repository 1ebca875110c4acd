"""Values of JSON become arrays, as strictly as TensorFlow Serving makes tensors of them."""

import base64
import binascii
import functools
import json
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import orjson

from inference.request_errors import RequestError, invalid
from inference.servable import Tensor

DEEPEST = 32  # dimensions of NumPy's arrays, and more than any tensor has here
# All that numbers are written with becomes 0: what is left tells how lists and numbers lie.
SPACES, DIGITS, DECIMALS = b" \t\r\n", b"123456789-", b"123456789-+.eE"
ZEROS = {
    kind: bytes.maketrans(letters, b"0" * len(letters))
    for kind, letters in {"i": DIGITS, "u": DIGITS, "f": DECIMALS}.items()
}
# Not all integers above have a float of their own; TensorFlow Serving takes none of them.
EXACT = {"f2": 2**11 - 1, "f4": 2**24 - 1, "f8": 2**53 - 1}


class Flat(NamedTuple):
    """The values of nested lists in their order, the lengths of the lists, and their types."""

    values: list[Any]
    shape: tuple[int, ...]
    types: set[type]


def array(value: Any, tensor: Tensor, name: str) -> np.ndarray:
    """A value, or nested lists of them, as what an input takes. Raises RequestError."""
    flat = flattened(value, name)
    if flat.types - _taken(tensor.dtype):
        wrong = next(one for one in flat.values if type(one) not in _taken(tensor.dtype))
        raise _mistyped(wrong, tensor, name)
    if tensor.dtype.kind == "O":
        made = np.empty(len(flat.values), object)
        made[:] = [_encoded(one, name) for one in flat.values]
    else:
        made = _numbers(flat, tensor, name)
    return made.reshape(flat.shape)


def flattened(value: Any, name: str) -> Flat:
    """Level by level, so that no depth is too deep. Raises RequestError for ragged lists."""
    level, shape = [value], list[int]()
    while True:
        types = set(map(type, level))
        if list not in types:
            return Flat(level, tuple(shape), types)
        lengths = set(map(len, level)) if types == {list} else set()
        if len(lengths) != 1:
            received = f"lists of lengths {_some(lengths)}" if lengths else "lists beside values"
            raise invalid(
                f"Input {name!r}: encountered {received} at level {len(shape)}; expected lists of "
                "one length at each level, and values at the last"
            )
        shape.append(lengths.pop())
        if len(shape) > DEEPEST:
            raise invalid(f"Input {name!r}: lists are nested deeper than {DEEPEST} levels")
        level = list(chain.from_iterable(level))
        if not level:
            return Flat([], tuple(shape), set())


def _some(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers)[:5]))


def _taken(dtype: np.dtype) -> set[type]:
    """The types of JSON's values that an input of this type takes."""
    if dtype.kind == "O":
        return {str, dict}
    if dtype.kind == "b":
        return {bool}
    return {int} if dtype.kind in "iu" else {int, float}


def _mistyped(value: Any, tensor: Tensor, name: str) -> RequestError:
    # The name of the type for what is long; JSON's words for the rest.
    shown = "an object" if type(value) is dict else json.dumps(value)[:60]
    expected = "string" if tensor.dtype.kind == "O" else tensor.dtype.name
    return invalid(f"Input {name!r}: JSON Value: {shown} is not of expected type: {expected}")


def _encoded(value: Any, name: str) -> bytes:
    """A string, or the bytes that {"b64": ...} stands for."""
    try:
        if type(value) is str:
            return value.encode()
        if list(value) == ["b64"] and type(value["b64"]) is str:
            text = "".join(value["b64"].split())  # many programs break it into lines
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except UnicodeEncodeError:
        raise invalid(f"Input {name!r}: a string holds half of a surrogate pair") from None
    except (binascii.Error, ValueError):
        raise invalid(f"Input {name!r}: Unable to base64 decode") from None
    raise invalid(
        f'Input {name!r}: an object is not formatted correctly for base64 data; expected {{"b64": '
        "<base64 encoded string>}"
    )


def _numbers(flat: Flat, tensor: Tensor, name: str) -> np.ndarray:
    dtype = tensor.dtype
    try:
        if dtype.kind in "iu":
            return _whole(flat.values, dtype)
        if dtype.kind == "b":
            return np.array(flat.values, bool)
        made = _real(flat.values, dtype)
    except (OverflowError, ValueError):
        raise invalid(f"Input {name!r}: a number is out of the range of {dtype.name}") from None
    except TypeError:
        raise invalid(f"Input {name!r}: no JSON value stands for {dtype.name}") from None
    if int in flat.types:
        most = EXACT.get(dtype.str[1:], 0)
        lossy = [one for one in flat.values if type(one) is int and not -most <= one <= most]
        if lossy:
            raise invalid(
                f"Input {name!r}: Cannot convert JSON value: {lossy[0]} to {dtype.name} without "
                "loss of precision."
            )
    return made


def _whole(values: list[int], dtype: np.dtype) -> np.ndarray:
    """Integers of a type. Raises OverflowError or ValueError where one is too large for it."""
    if dtype == np.uint8:
        # Three times as fast; it raises ValueError itself.
        return np.frombuffer(bytes(values), np.uint8)
    return np.array(values, dtype)


def _real(values: list[float], dtype: np.dtype) -> np.ndarray:
    made = np.array(values, np.float64)
    with np.errstate(over="ignore"):
        cast = made.astype(dtype)
    if np.isinf(cast).any() and (np.isinf(cast) & ~np.isinf(made)).any():
        raise OverflowError
    return cast


def plain(text: bytes, tensor: Tensor) -> np.ndarray | None:
    """Lists of numbers read without making the lists; None where `array` has to look at them.

    The text without its numbers must be that of a batch of the input's shape,
    bracket by bracket; then the numbers are those of a flat list. Reading 28 by
    28 pixels so takes a third of the time.
    """
    shape, kind = tensor.shape, tensor.dtype.kind
    if shape is None or kind not in ZEROS or not shape or shape[0] is not None:
        return None
    if None in shape[1:]:
        return None
    one = _brackets(shape[1:])
    outline = text.translate(ZEROS[kind], SPACES)
    if b"]0" in outline or b"0[" in outline:
        return None  # a number on the wrong side of a bracket: [[1]2,[3]] is no [[12],[3]]
    lists = outline.translate(None, b"0")
    size, rest = divmod(len(lists) - 1, len(one) + 1)
    if rest or size < 1 or lists != b"[" + b",".join([one] * size) + b"]":
        return None
    try:
        values = orjson.loads(b"[" + text.translate(None, b"[]") + b"]")
        if kind == "f":
            return array(values, tensor._replace(shape=None), "").reshape(size, *shape[1:])
        return _whole(values, tensor.dtype).reshape(size, *shape[1:])
    except (ValueError, OverflowError, TypeError, RequestError):
        return None


@functools.lru_cache(maxsize=64)
def _brackets(shape: tuple[int, ...]) -> bytes:
    """Nested lists of a shape without what is in them."""
    text = b""
    for size in reversed(shape):
        text = b"[" + b",".join([text] * size) + b"]"
    return text
