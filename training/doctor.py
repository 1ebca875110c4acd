"""Report the versions and devices of a machine, and known problems."""

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from pipelines import decoded
from pipelines.files import cache_directory
from training.precision import choose_precision

PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "tensorboard",
    "tensorflow-datasets",
    "scikit-learn",
    "protobuf",
    "matplotlib",
)

# (package, first bad version, first good version or "", consequence)
KNOWN_BAD = (
    ("keras", "3.16", "", "not tested yet; setup.cfg requires 3.15"),
    ("tensorflow", "2.22", "", "not tested yet; setup.cfg requires 2.21"),
    ("protobuf", "8", "", "TensorFlow 2.21 needs protobuf below 8"),
    ("keras", "0", "3.15", "older Keras lacks what the apps use; install keras>=3.15,<3.16"),
    ("tensorflow", "0", "2.21", "Keras 3.15 was tested with TensorFlow 2.21 only"),
)


def examine(data_dir: Path | None = None) -> Iterator[tuple[str, str]]:
    """Yield pairs of topic and finding; topics that begin with `!` are problems."""
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    versions = {name: _version(name) for name in PACKAGES}
    for name, version in versions.items():
        yield name, version or "not installed"
    for name, first_bad, first_good, consequence in KNOWN_BAD:
        version = versions[name]
        if (
            version
            and _at_least(version, first_bad)
            and not (first_good and _at_least(version, first_good))
        ):
            yield f"! {name} {version}", consequence
    if os.environ.get("PYTHONDONTWRITEBYTECODE") and not _compiled():
        yield (
            "! byte-code",
            "is not compiled, so every start takes seconds longer; run make install",
        )
    yield "devices", ", ".join(device.name for device in tf.config.list_physical_devices())
    yield "cores", str(os.cpu_count())
    choice = choose_precision("auto", "image")
    yield "precision for images", f"{choice.policy} ({choice.reason})"
    used, limit = (size / 2**30 for size in (decoded.cache_size(), decoded.MAX_CACHE_BYTES))
    yield "cache directory", f"{cache_directory()}: decoded sets {used:.2f} of {limit:g} GiB"
    yield from _data_directories(data_dir)


def _data_directories(data_dir: Path | None) -> Iterator[tuple[str, str]]:
    directories = {
        "--data-dir": data_dir,
        "TFDS_DATA_DIR": os.environ.get("TFDS_DATA_DIR"),
        "TFDS default": Path.home() / "tensorflow_datasets",
    }
    for name, directory in directories.items():
        if directory is not None:
            yield f"data: {name}", f"{directory}: {_prepared_sets(Path(directory))}"


def _prepared_sets(directory: Path) -> str:
    if not directory.is_dir():
        return "does not exist"
    sets = sorted(
        {path.relative_to(directory).parts[0] for path in directory.glob("*/**/dataset_info.json")}
    )
    return ", ".join(sets) or "has no prepared set"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _at_least(version: str, bound: str) -> bool:
    def numbers(text: str) -> list[int]:
        return [int(part) if part.isdigit() else 0 for part in text.split(".")[:3]]

    return numbers(version) >= numbers(bound)


def _compiled() -> bool:
    return (Path(tf.__file__).parent / "__pycache__").is_dir()
