"""Choose the number format of a run by a measurement, made once per machine."""

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from pipelines.files import cache_directory
from training.options import Precision
from training.run import write_json

POLICIES = ("float32", "mixed_bfloat16")

# Below this speedup of a convolution, casts and small layers cancel the advantage.
MIN_SPEEDUP = 1.3


class PrecisionChoice(NamedTuple):
    """A Keras dtype policy and the reason for it."""

    policy: str
    reason: str


def choose_precision(
    requested: Precision, modality: str, formats: Sequence[str] = ("float32", "bfloat16")
) -> PrecisionChoice:
    """Return the policy for an app of this modality, in one of these formats.

    `auto` takes bfloat16 for images if a convolution and its gradient are at least 1.3 times
    as fast with it on this machine. The measurement takes a quarter of a second and is stored in
    the user's cache directory, so that every run on a machine uses the same format.
    """
    if requested != "auto":
        return PrecisionChoice(_policy(requested), "asked for")
    if modality != "image":
        return PrecisionChoice(
            "float32", "small dense and recurrent layers gain nothing from bfloat16"
        )
    if "bfloat16" not in formats:
        return PrecisionChoice("float32", "depthwise convolutions gain nothing from bfloat16")
    seconds = _cached_seconds()
    speedup = seconds["float32"] / seconds["bfloat16"]
    winner = "bfloat16" if speedup >= MIN_SPEEDUP else "float32"
    return PrecisionChoice(
        _policy(winner), f"bfloat16 is {speedup:.1f} times as fast as float32 here"
    )


def _policy(precision: str) -> str:
    return "mixed_bfloat16" if precision == "bfloat16" else precision


def _cached_seconds() -> dict[str, float]:
    path = cache_directory() / "precision.json"
    key = f"tensorflow {tf.__version__}, {processor_name()}"
    try:
        cached = json.loads(path.read_text())
        if set(cached[key]) == {"float32", "bfloat16"}:
            return cached[key]
    except (OSError, ValueError, KeyError, TypeError):
        cached = {}
    seconds = {name: _convolution_seconds(name) for name in ("float32", "bfloat16")}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {**cached, key: seconds})
    except OSError:
        pass  # Without a writable cache the next run measures again.
    return seconds


def processor_name() -> str:
    """Name the GPU of this machine, or its CPU's model, extensions and cores."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    parts = {key.strip(): value.strip() for key, value in facts.items()}
    extensions = [
        flag for flag in parts.get("flags", "").split() if flag in ("amx_bf16", "avx512_bf16")
    ]
    return " ".join(
        [parts.get("model name", platform.processor()), *extensions, str(os.cpu_count())]
    )


def _convolution_seconds(precision: str, repeats: int = 5) -> float:
    """Time a medium convolution with its gradient and return the fastest of several runs."""
    images = tf.cast(tf.random.stateless_uniform([64, 14, 14, 32], [0, 1]), precision)
    kernel = tf.cast(tf.random.stateless_uniform([3, 3, 32, 64], [0, 2]), precision)

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            total = tf.reduce_sum(tf.nn.conv2d(images, kernel, 1, "SAME"))
        return [tf.reduce_sum(part) for part in tape.gradient(total, [images, kernel])]

    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        _ = [part.numpy() for part in step()]
        times.append(time.perf_counter() - start)
    return min(times[1:])
