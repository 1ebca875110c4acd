"""A small request with very many rows takes no more memory than a model needs for some of them."""

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
    """Tells of each row among how many it was asked."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "number")])
    def rows(self, number):
        size = tf.shape(number)
        return {"number": number, "together": tf.fill(size, size[0])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "file_bytes")])
    def files(self, file_bytes):
        size = tf.shape(file_bytes)
        return {"together": tf.fill(size, size[0])}

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


@pytest.mark.parametrize("way", ["run", "run_within"])
@pytest.mark.parametrize("count", [0, 1, BLOCK_ROWS, BLOCK_ROWS + 1, 1000])
def test_rows_are_asked_about_in_parts(way, count, counting):
    signature = counting.signature(None)
    arrays = {"number": np.arange(count, dtype="int32")}
    more = () if way == "run" else (20,)
    found = getattr(counting, way)(signature, arrays, *more)
    assert found["number"].tolist() == list(range(count))
    assert found["together"].max(initial=0) <= BLOCK_ROWS


def test_files_are_asked_about_in_smaller_parts(counting):
    files = {"file_bytes": np.array([b""] * 100, object)}
    found = counting.run(counting.signature("files"), files)
    assert found["together"].max() == BLOCK_FILES


def test_what_is_no_answer_to_each_row_is_asked_whole(counting):
    arrays = {"number": np.ones(1000, "int32")}
    assert counting.run(counting.signature("total"), arrays)["total"] == 1000


def test_more_rows_than_a_request_may_have_are_refused(counting):
    body = b'{"instances":[' + b"1," * MAX_ROWS + b"1]}"
    with pytest.raises(RequestError, match=f"{MAX_ROWS + 1} rows; expected at most {MAX_ROWS}"):
        parse_request(body, counting)


def test_many_small_pictures_are_answered_each(exported):
    """Of 100 bytes each, they become as large as the model's input."""
    run = exported(Finetune)
    servable = Servable(run.path / "export" / "1", 1)
    files = []
    for level in (0, 255):
        place = io.BytesIO()
        Image.new("RGB", (1, 1), (level, 0, 0)).save(place, "PNG")
        files.append({"b64": base64.b64encode(place.getvalue()).decode()})
    body = {"signature_name": "encoded", "instances": files * (BLOCK_FILES + 1)}
    asked = parse_request(json.dumps(body).encode(), servable)
    found = servable.run_within(asked.signature, asked.arrays, 60)
    few = servable.run(asked.signature, {"image_bytes": asked.arrays["image_bytes"][:2]})
    for name, whole in found.items():
        assert len(whole) == 2 * (BLOCK_FILES + 1)
        np.testing.assert_array_equal(whole[:2], whole[-2:])
        if whole.dtype.kind == "f":
            np.testing.assert_allclose(whole[:2], few[name], atol=1e-5)
    assert len(json.loads(encode_response(asked, found))["predictions"]) == len(files) * (
        BLOCK_FILES + 1
    )
    servable.close()
