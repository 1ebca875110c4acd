"""Write the warm-up requests of TensorFlow Serving."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from exporting.parity_check import arrays_under
from inference.artifacts import RECORDS

MISSING_NOTE = (
    "no warm-up requests: they need the extra `serve`, pip install 'athanor[serve]'; the first "
    "response of a server will take longer"
)


def available() -> bool:
    """Whether TensorFlow Serving's messages are installed."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def write(directory: Path, name: str, samples: dict[str, Any]) -> None:
    """Write a request with one example for each signature, if the extra `serve` is installed.

    Args:
        directory: of the SavedModel.
        name: of the served model.
        samples: arrays by `SIGNATURE/input/NAME`.

    """
    if not available():
        return
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = directory / RECORDS
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as file:
        for signature in sorted({key.partition("/")[0] for key in samples}):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            for key, value in inputs_of(samples, signature).items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            file.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def inputs_of(samples: dict[str, Any], signature: str, count: int = 1) -> dict[str, np.ndarray]:
    """Return the inputs of a signature for the first `count` examples; scalars stay scalars."""
    arrays = arrays_under(samples, f"{signature}/input/")
    return {name: array[:count] if array.ndim else array for name, array in arrays.items()}
