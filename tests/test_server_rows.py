"""A model gets the rows of a large request in blocks, so that memory is bounded."""

import base64
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from apps import Finetune
from inference.request_errors import RequestError
from inference.servable import BLOCK_FILES, BLOCK_ROWS, MAX_ROWS, Servable
from serving.http.codec import encode_response, parse_request


class Counting(tf.Module):
    """A model that returns for each row the number of rows in the call."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "number")])
    def rows(self, number):
        size = tf.shape(number)
        return {"number": number, "call_rows": tf.fill(size, size[0])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "file_bytes")])
    def files(self, file_bytes):
        size = tf.shape(file_bytes)
        return {"call_rows": tf.fill(size, size[0])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "number")])
    def total(self, number):
        return {"total": tf.reduce_sum(number)}


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    path, module = tmp_path_factory.mktemp("counting") / "1", Counting()
    named = {"serving_default": module.rows, "files": module.files, "total": module.total}
    tf.saved_model.save(module, str(path), named)
    servable = Servable(path, 1)
    yield servable
    servable.close()


@pytest.mark.parametrize("method", ["run", "run_within"])
@pytest.mark.parametrize("count", [0, 1, BLOCK_ROWS, BLOCK_ROWS + 1, 1000])
def test_rows_are_predicted_in_blocks(method, count, counting):
    signature = counting.signature(None)
    arrays = {"number": np.arange(count, dtype="int32")}
    seconds = () if method == "run" else (20,)
    outputs = getattr(counting, method)(signature, arrays, *seconds)
    assert outputs["number"].tolist() == list(range(count))
    assert outputs["call_rows"].max(initial=0) <= BLOCK_ROWS


def test_files_are_predicted_in_smaller_blocks(counting):
    files = {"file_bytes": np.array([b""] * 100, object)}
    outputs = counting.run(counting.signature("files"), files)
    assert outputs["call_rows"].max() == BLOCK_FILES


def test_a_signature_without_an_output_for_each_row_gets_all_rows(counting):
    arrays = {"number": np.ones(1000, "int32")}
    assert counting.run(counting.signature("total"), arrays)["total"] == 1000


def test_too_many_rows_in_a_request_are_refused(counting):
    body = b'{"instances":[' + b"1," * MAX_ROWS + b"1]}"
    with pytest.raises(RequestError, match=f"{MAX_ROWS + 1} rows; expected at most {MAX_ROWS}"):
        parse_request(body, counting)


def test_many_small_images_each_have_a_prediction(exported):
    """Files of 100 bytes become arrays of the model's input size."""
    run = exported(Finetune)
    servable = Servable(run.path / "export" / "1", 1)
    files = []
    for level in (0, 255):
        file = io.BytesIO()
        Image.new("RGB", (1, 1), (level, 0, 0)).save(file, "PNG")
        files.append({"b64": base64.b64encode(file.getvalue()).decode()})
    body = {"signature_name": "encoded", "instances": files * (BLOCK_FILES + 1)}
    request = parse_request(json.dumps(body).encode(), servable)
    outputs = servable.run_within(request.signature, request.arrays, 60)
    first_two = servable.run(request.signature, {"image_bytes": request.arrays["image_bytes"][:2]})
    for name, output in outputs.items():
        assert len(output) == 2 * (BLOCK_FILES + 1)
        for other in (output[-2:], first_two[name]):
            if output.dtype.kind == "f":  # blocks of other sizes round in other places
                np.testing.assert_allclose(output[:2], other, atol=1e-5)
            else:
                np.testing.assert_array_equal(output[:2], other)
    assert len(json.loads(encode_response(request, outputs))["predictions"]) == len(files) * (
        BLOCK_FILES + 1
    )
    servable.close()
