"""Convert a model to a LiteRT file, which runs without TensorFlow."""

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


def convert(portable: Portable, quantize: Quantization | None = None) -> bytes:
    """Return the content of a .tflite file. Raises RefusedError for unsupported operations.

    float16 stores the weights in half precision, int8 as integers of 8 bits. Activations stay
    float32: on the embedded diabetes data quantized activations changed outputs of about 290 by up
    to 16, quantized weights alone by 0.1, and the files had the same size.
    """
    with tempfile.TemporaryDirectory() as folder, silenced_output():
        tf.saved_model.save(tf.Module(), folder, {DEFAULT: freeze(portable)})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[DEFAULT])
        if quantize:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert()
        except Exception as error:
            raise RefusedError(
                f"Received --format litert for a model that it cannot represent: {_reason(error)}; "
                "expected operations of LiteRT. Remove litert from --format.",
                reason="an operation is missing",
            ) from error


def freeze(portable: Portable) -> Any:
    """Return the function of a model with its weights as constants, from and to named tensors."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    specs = {spec.name: spec for spec in portable.inputs}
    concrete = tf.function(portable.function, autograph=False).get_concrete_function(**specs)
    names = sorted(concrete.structured_outputs)
    # The converter would write variables without their values.
    constant = convert_variables_to_constants_v2(concrete)
    order = [tensor.name.partition(":")[0] for tensor in constant.inputs]

    def call_by_name(**inputs: Any) -> dict[str, Any]:
        outputs = constant(*(inputs[name] for name in order))
        return dict(zip(names, outputs, strict=True))

    return tf.function(call_by_name, autograph=False).get_concrete_function(**specs)


def _reason(error: Exception) -> str:
    """Return the name of the missing operation, or else the first line of an error."""
    if match := re.search(r"'tf\.\w+' op [^\n;]*", str(error)):
        return match[0]
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")


@contextlib.contextmanager
def silenced_output() -> Iterator[None]:
    """Discard what converters print from C++; they raise errors as exceptions."""
    # Earlier output must not be discarded.
    sys.stdout.flush()
    saved = os.dup(1), os.dup(2)
    with Path(os.devnull).open("w") as null:
        for descriptor in (1, 2):
            os.dup2(null.fileno(), descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        for descriptor, original in enumerate(saved, 1):
            os.dup2(original, descriptor)
            os.close(original)
