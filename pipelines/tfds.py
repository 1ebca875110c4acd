"""Sets of tensorflow-datasets, read as fast as the disk and the decoder allow."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipelines.decoded import remembered
from pipelines.examples import Batch, DataError, Examples, store
from pipelines.splits import Source

DOWNLOAD_HOST = ("storage.googleapis.com", 443)
CHUNK = 2048  # records decoded in one call


def source(name: str, data_dir: Path | None, memory_budget: int | None) -> Source:
    """The official splits of a supervised set. Raises DataError where it cannot be had."""
    builder = _prepared(name, data_dir)
    if not builder.info.supervised_keys:
        raise DataError(
            f"Received tfds:{name}, which names no input and target; expected a supervised set. "
            f"Its features are {', '.join(builder.info.features)}."
        )
    if "train" not in builder.info.splits:
        raise DataError(
            f"Received tfds:{name} with the splits {', '.join(builder.info.splits)}; "
            "expected one called train."
        )

    for key in builder.info.supervised_keys:
        shape = builder.info.features[key].shape
        if not isinstance(shape, tuple) or None in shape:
            raise DataError(
                f"Received tfds:{name}, whose {key} is of form {shape}; expected arrays of one "
                "size. Choose another set."
            )

    def split(*names: str) -> Examples | None:
        found = next((name for name in names if name in builder.info.splits), None)
        if found is None:
            return None
        count = builder.info.splits[found].num_examples
        return remembered(
            _content(builder, found),
            lambda: store(_batches(builder, found), count, memory_budget),
        )

    train = split("train")
    assert train is not None
    target = builder.info.features[builder.info.supervised_keys[1]]
    labels = tuple(getattr(target, "names", None) or ())
    return Source(train, split("validation", "valid", "val"), split("test"), labels)


def _prepared(name: str, data_dir: Path | None) -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise DataError(
            f"Received tfds:{name}; expected tensorflow-datasets to be installed. "
            "Install it: pip install 'athanor[data]'."
        ) from error
    place = data_dir or os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR
    try:
        builder = tfds.builder(name, data_dir=place)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"Received tfds:{name}; expected the name of a TFDS set, or of one prepared in "
            f"{place}. TFDS says: {reason}"
        ) from error
    if not builder.is_prepared():
        _download(name, builder, place)
    return builder


def _content(builder: Any, split: str) -> str:
    """What the examples of a split depend on: the set, its files, how they are read."""
    files = [Path(path) for path in builder.info.splits[split].filepaths]
    stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return repr((builder.info.full_name, builder.info.supervised_keys, split, stats))


def _download(name: str, builder: Any, place: Any) -> None:
    try:
        socket.create_connection(DOWNLOAD_HOST, timeout=3).close()
    except OSError as error:
        raise DataError(
            f"Received tfds:{name}, which is not prepared in {place}, and the network is missing. "
            "Either name the directory that holds it (--data-dir DIR or TFDS_DATA_DIR), or "
            'prepare it once where there is a network: python -c "import tensorflow_datasets '
            f"as tfds; tfds.load('{name}')\"."
        ) from error
    builder.download_and_prepare()


def _batches(builder: Any, split: str) -> Iterator[Batch]:
    """Supervised pairs in the order of the files.

    TFDS parses and decodes record by record; reading whole chunks of records
    through its own feature decoders took about half the time on MNIST.
    """
    features = builder.info.features
    keys = builder.info.supervised_keys
    wanted = type(features)({key: features[key] for key in keys})

    @tf.autograph.experimental.do_not_convert
    def pair(serialized: Any) -> Batch:
        specs = {
            key: tf.io.FixedLenFeature(spec.shape, spec.tf_dtype)
            for key, spec in wanted.get_serialized_info().items()
        }
        decoded = wanted.decode_batch_example(tf.io.parse_example(serialized, specs))
        return Batch(*(decoded[key] for key in keys))

    records = tf.data.TFRecordDataset([str(path) for path in builder.info.splits[split].filepaths])
    chunks = records.batch(CHUNK).map(pair, num_parallel_calls=tf.data.AUTOTUNE)
    try:
        for batch in chunks.prefetch(1).as_numpy_iterator():
            yield Batch(*batch)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise DataError(
            f"Received damaged records in {builder.data_path}, split {split}; expected what TFDS "
            "wrote. Remove that directory and prepare the set again."
        ) from error
