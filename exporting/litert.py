"""A model as a LiteRT file, which runs without TensorFlow."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from inference.portable import Portable, RefusedError
from inference.servable import DEFAULT

Quantization = Literal["int8", "float16"]


def converted(portable: Portable, quantize: Quantization | None = None) -> bytes:
    """The content of a .tflite file. Raises RefusedError where it cannot be.

    With float16 the weights are kept in half precision, with int8 in whole numbers
    of 8 bits; what is between them is computed as LiteRT does with such weights.
    Activations stay as they are: scaled to 8 bits by examples, those of a regression
    on the embedded patients moved answers by up to 16 of 290, weights alone by 0.1,
    at the same size.
    """
    with tempfile.TemporaryDirectory() as folder, held_back_output():
        tf.saved_model.save(tf.Module(), folder, {DEFAULT: frozen(portable)})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[DEFAULT])
        if quantize:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert()
        except Exception as error:
            raise RefusedError(
                f"Received --format litert for a model that it cannot carry: {_reason(error)}; "
                "expected operations of LiteRT. Leave litert out of --format.",
                reason="an operation is missing",
            ) from error


def frozen(portable: Portable) -> Any:
    """The function of a model, its weights as constants, from and to tensors by name."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    specs = {spec.name: spec for spec in portable.inputs}
    whole = tf.function(portable.function, autograph=False).get_concrete_function(**specs)
    names = sorted(whole.structured_outputs)
    # Left as variables they would stand in the file as such, and be asked for in vain.
    constant = convert_variables_to_constants_v2(whole)
    order = [tensor.name.partition(":")[0] for tensor in constant.inputs]

    def named(**inputs: Any) -> dict[str, Any]:
        given = constant(*(inputs[name] for name in order))
        return dict(zip(names, given, strict=True))

    return tf.function(named, autograph=False).get_concrete_function(**specs)


def _reason(error: Exception) -> str:
    """Which operation is missing, without the way to it; else the first line."""
    if found := re.search(r"'tf\.\w+' op [^\n;]*", str(error)):
        return found[0]
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")


@contextlib.contextmanager
def held_back_output() -> Iterator[None]:
    """Converters tell of their work from C++; what matters is in what they raise."""
    # What was printed before, and waits, is not lost with it.
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        for number in (1, 2):
            os.dup2(nothing.fileno(), number)
    try:
        yield
    finally:
        sys.stdout.flush()
        for number, one in enumerate(kept, 1):
            os.dup2(one, number)
            os.close(one)
