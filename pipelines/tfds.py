"""Read data sets of tensorflow-datasets."""

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from pipelines.decoded import load_or_make
from pipelines.example_store import store
from pipelines.examples import AddressError, Batch, DataError, Examples
from pipelines.images.photos import FitterFactory
from pipelines.inspection import Inspection
from pipelines.splits import Source
from pipelines.tables.cells import AnyCells, Cells
from pipelines.tables.column_store import stored
from pipelines.tables.table import Table, Tables

# A name, a configuration and a version; no paths and no namespaces.
NAME = re.compile(r"\w+(/\w[\w.+=,-]*)?(:(\d+|\*)\.(\d+|\*)\.(\d+|\*))?", re.ASCII)
DOWNLOAD_HOST = ("storage.googleapis.com", 443)
RECORDS_PER_CALL = 2048
RESIZED_RECORDS_PER_CALL = 64  # decoded images need much more memory than their files
NUM_MEASURED_IMAGES = 25  # from which the size of a set's images is estimated


def source(
    name: str,
    data_dir: Path | None,
    memory_budget: int | None,
    fitting: FitterFactory | None = None,
    inspection: Inspection | None = None,
) -> Source:
    """Read the official splits of a supervised set, with images resized if `fitting` is given.

    Raises DataError if the set is unavailable, or has images of several sizes without `fitting`.
    """
    builder = _prepared(name, data_dir)
    if not builder.info.supervised_keys:
        raise AddressError(
            f"Received tfds:{name}, which names no input and target; expected a supervised set. "
            f"Its features are {', '.join(builder.info.features)}."
        )
    for key in builder.info.supervised_keys:
        shape = builder.info.features[key].shape
        fitted = fitting is not None and isinstance(shape, tuple) and len(shape) == 3
        if not fitted and (not isinstance(shape, tuple) or None in shape):
            raise DataError(
                f"Received tfds:{name}, whose {key} is of form {shape}; expected arrays of one "
                "size. Choose another set."
            )

    images = builder.info.features[builder.info.supervised_keys[0]]
    fit = fitting(_shapes(builder, images.shape)) if fitting and len(images.shape) == 3 else None
    if fit and fit.shape == images.shape:
        fit = None  # images of the right size are read in larger chunks

    def split(*names: str) -> Examples | None:
        split_name = next((name for name in names if name in builder.info.splits), None)
        if split_name is None:
            return None
        count = builder.info.splits[split_name].num_examples
        return load_or_make(
            repr((_content(builder, split_name), fit)),
            lambda: store(_batches(builder, split_name, fit), count, memory_budget, inspection),
            inspection,
        )

    train = split("train")
    if train is None:
        raise _without_train(name, builder)
    target = builder.info.features[builder.info.supervised_keys[1]]
    labels = tuple(getattr(target, "names", None) or ())
    return Source(train, split("validation", "valid", "val"), split("test"), labels)


def tables(name: str, data_dir: Path | None) -> Tables:
    """Read the official splits of a set as tables of its scalar features, and of lists of classes.

    A nested feature is called by its own name; other features (pictures, lists) are left out.
    Raises DataError if the set is unavailable.
    """
    builder = _prepared(name, data_dir)
    features = dict(_features(builder.info.features, ()))
    columns = {path: feature for path, feature in features.items() if feature.shape == ()}
    lists = {path: feature.feature for path, feature in features.items() if _lists_classes(feature)}
    if not columns:
        raise DataError(
            f"Received tfds:{name}, which holds no numbers or texts; expected a set of rows. Its "
            f"features are {', '.join(builder.info.features)}."
        )
    labels = {
        path[-1]: tuple(feature.names)
        for path, feature in (columns | lists).items()
        if getattr(feature, "names", None)
    }

    def split(*names: str) -> Table | None:
        split_name = next((name for name in names if name in builder.info.splits), None)
        if not split_name:
            return None
        numbers = _lists(builder, split_name, lists)
        return Table(_columns(builder, split_name, columns), labels, lists=numbers)

    train = split("train")
    if train is None:
        raise _without_train(name, builder)
    return Tables(train, split("validation", "valid", "val"), split("test"))


def _features(features: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every feature that is no dict with its path of names."""
    for name, feature in features.items():
        if hasattr(feature, "items"):
            yield from _features(feature, (*path, name))
        else:
            yield (*path, name), feature


def _lists_classes(feature: Any) -> bool:
    """Whether a feature is a sequence of class numbers with names."""
    return len(feature.shape or ()) == 1 and bool(
        getattr(getattr(feature, "feature", None), "names", None)
    )


def _lists(
    builder: Any, split: str, features: dict[tuple[str, ...], Any]
) -> dict[str, pa.ChunkedArray]:
    """Read sequences of class numbers as columns of lists."""
    if not features:
        return {}
    specs = {"/".join(path): tf.io.RaggedFeature(tf.int64) for path in features}
    parts = list(_chunks(builder, split, lambda serialized: tf.io.parse_example(serialized, specs)))
    numbers = pa.list_(pa.int64())
    return {
        path[-1]: pa.chunked_array(
            [pa.array([row.tolist() for row in part["/".join(path)]], numbers) for part in parts]
        )
        for path in features
    }


def _columns(builder: Any, split: str, features: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    specs = {
        "/".join(path): tf.io.FixedLenFeature((), _stored(feature.get_serialized_info().tf_dtype))
        for path, feature in features.items()
    }
    parts: dict[str, list[Any]] = {path[-1]: [] for path in features}
    for part in _chunks(builder, split, lambda serialized: tf.io.parse_example(serialized, specs)):
        for path in features:
            values = part["/".join(path)]
            parts[path[-1]].append(values if values.dtype != object else _texts(values))
    return {name: _joined(column) for name, column in parts.items()}


def _texts(values: np.ndarray) -> pa.Array:
    return pa.array([value or None for value in values.tolist()], pa.binary())


def _joined(parts: list[Any]) -> AnyCells:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else Cells(stored(parts))


def _stored(dtype: tf.DType) -> tf.DType:
    """Return the dtype by which tf.train.Example stores this dtype."""
    if dtype.is_floating:
        return tf.float32
    return dtype if dtype == tf.string else tf.int64


def _without_train(name: str, builder: Any) -> DataError:
    return DataError(
        f"Received tfds:{name} with the splits {', '.join(builder.info.splits)}; "
        "expected one called train."
    )


def _prepared(name: str, data_dir: Path | None) -> Any:
    if not NAME.fullmatch(name):
        raise DataError(
            f"Received tfds:{name}; expected the name of a set, optionally with a configuration "
            "and a version: tfds:mnist, tfds:glue/sst2, tfds:mnist:3.0.1."
        )
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise AddressError(
            f"Received tfds:{name}; expected tensorflow-datasets to be installed. "
            "Install it: pip install 'athanor[data]'."
        ) from error
    directory = data_dir or os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR
    try:
        builder = tfds.builder(name, data_dir=directory)
    # TFDS raises AssertionError for a version that does not exist.
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise AddressError(
            f"Received tfds:{name}; expected the name of a TFDS set, or of one prepared in "
            f"{directory}. TFDS says: {reason}"
        ) from error
    if not builder.is_prepared():
        _download(name, builder, directory)
    return builder


def _content(builder: Any, split: str) -> str:
    """Describe what the examples of a split depend on: the set, its files, the reading."""
    files = [Path(path) for path in builder.info.splits[split].filepaths]
    stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return repr((builder.info.full_name, builder.info.supervised_keys, split, stats))


def _download(name: str, builder: Any, directory: Any) -> None:
    try:
        socket.create_connection(DOWNLOAD_HOST, timeout=3).close()
    except OSError as error:
        raise AddressError(
            f"Received tfds:{name}, which is not prepared in {directory}, and there is no network. "
            "Either name the directory that contains it (--data-dir DIR or TFDS_DATA_DIR), or "
            'prepare it once on a machine with a network: python -c "import tensorflow_datasets '
            f"as tfds; tfds.load('{name}')\"."
        ) from error
    builder.download_and_prepare()


def _shapes(builder: Any, shape: tuple[int | None, ...]) -> list[Any]:
    """Return the shape of the images, or of some of them if the set does not define one."""
    if None not in shape:
        return [shape]
    key = builder.info.supervised_keys[0]
    sample = builder.as_dataset(split="train", shuffle_files=False).take(NUM_MEASURED_IMAGES)
    return [example[key].shape for example in sample.as_numpy_iterator()]


def _batches(builder: Any, split: str, fit: Any = None) -> Iterator[Batch]:
    """Yield supervised pairs in the order of the files.

    TFDS itself parses and decodes record by record; reading chunks of records through its feature
    decoders took about half the time on MNIST.
    """
    features = builder.info.features
    keys = builder.info.supervised_keys
    pair_features = type(features)({key: features[key] for key in keys})

    def pair(serialized: Any) -> Batch:
        specs = {
            key: tf.io.FixedLenFeature(spec.shape, spec.tf_dtype)
            for key, spec in pair_features.get_serialized_info().items()
        }
        stored = tf.io.parse_example(serialized, specs)
        if not fit:
            decoded = pair_features.decode_batch_example(stored)
            return Batch(*(decoded[key] for key in keys))
        fitted = tf.map_fn(
            lambda record: fit(
                pair_features.decode_example({**record, keys[1]: record[keys[1]]})[keys[0]]
            ),
            stored,
            fn_output_signature=tf.TensorSpec(fit.shape, tf.uint8),
        )
        return Batch(fitted, stored[keys[1]])

    for batch in _chunks(
        builder, split, pair, RESIZED_RECORDS_PER_CALL if fit else RECORDS_PER_CALL
    ):
        yield Batch(*batch)


def _chunks(
    builder: Any, split: str, parse: Callable[[Any], Any], chunk: int = RECORDS_PER_CALL
) -> Iterator[Any]:
    """Yield every chunk of records parsed by `parse`, as NumPy arrays."""
    records = tf.data.TFRecordDataset([str(path) for path in builder.info.splits[split].filepaths])
    chunks = records.batch(chunk).map(
        tf.autograph.experimental.do_not_convert(parse), num_parallel_calls=tf.data.AUTOTUNE
    )
    try:
        yield from chunks.prefetch(1).as_numpy_iterator()
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise DataError(
            f"Received damaged records in {builder.data_path}, split {split}; expected what TFDS "
            "wrote. Remove that directory and prepare the set again."
        ) from error
