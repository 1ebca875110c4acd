"""Store examples that arrive in batches, in memory or in a memory map on the disk."""

import dataclasses
import os
import tempfile
from collections.abc import Iterable, Iterator

import numpy as np

from pipelines.examples import Batch, DataError, Examples
from pipelines.inspection import Inspection, Progress, thumbnails


def default_memory_budget() -> int:
    """Return a quarter of this machine's memory, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def store(
    batches: Iterable[Batch],
    count: int,
    memory_budget: int | None = None,
    inspection: Inspection | None = None,
) -> Examples:
    """Store `count` examples that arrive in batches.

    They stay in memory if they fit into `memory_budget` bytes. Otherwise they are written to a
    memory map of a temporary file, which is deleted with the examples. An inspection gets
    thumbnails and the hashes of the full images. Raises DataError if shapes differ.
    """
    if inspection is None:
        return _store_batches(batches, count, memory_budget)
    hashes = [np.empty(0, "uint64")]
    examples = _store_batches(
        _thumbnail_batches(batches, count, hashes, inspection.progress), count, memory_budget
    )
    known = np.concatenate(hashes)
    return dataclasses.replace(examples, hashes=lambda: known)


def _thumbnail_batches(
    batches: Iterable[Batch], count: int, hashes: list[np.ndarray], progress: Progress
) -> Iterator[Batch]:
    done = 0
    for batch in batches:
        hashes.append(Examples.of(*batch).content_hashes())
        done += len(batch.target)
        progress("reading", done, count)
        yield Batch(thumbnails(batch.features), batch.target)


def _store_batches(batches: Iterable[Batch], count: int, memory_budget: int | None) -> Examples:
    budget = default_memory_budget() if memory_budget is None else memory_budget
    arrays: list[np.ndarray] = []
    filled = 0
    for batch in batches:
        if not arrays:
            arrays = [_allocate(array, count, budget) for array in batch]
        for array, part in zip(arrays, batch, strict=True):
            if part.shape[1:] != array.shape[1:]:
                raise DataError(
                    f"Received examples of shapes {array.shape[1:]} and {part.shape[1:]}; "
                    "expected one shape. Resize them beforehand, or use an app for "
                    "photographs of any size."
                )
            array[filled : filled + len(part)] = part
        filled += len(batch.features)
    if not arrays:
        raise DataError("Received no examples; expected at least one. Check the data address.")
    features, target = (array[:filled] for array in arrays)
    return Examples.of(features, target)


def _allocate(part: np.ndarray, count: int, budget: int) -> np.ndarray:
    shape = (count, *part.shape[1:])
    if int(np.prod(shape)) * part.dtype.itemsize <= budget:
        return np.empty(shape, part.dtype)
    # An unnamed file: the system deletes it with the last view of the map, even if the process
    # is killed.
    with tempfile.TemporaryFile(prefix="athanor-") as file:
        return np.memmap(file, part.dtype, mode="w+", shape=shape)
