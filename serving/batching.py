"""Dynamic batching: one call of the model serves several requests."""

import asyncio
import concurrent.futures
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from inference.request_errors import RequestError
from inference.servable import Servable, Signature, batch_of

MAX_BATCH_ROWS = 64


class PendingRequest(NamedTuple):
    """A request that waits for its batch."""

    arrays: Mapping[str, np.ndarray]
    num_rows: int
    outputs: asyncio.Future[dict[str, np.ndarray]]


class Batcher:
    """Collects requests of one signature for `seconds`, or until there are `MAX_BATCH_ROWS` rows.

    A longer wait makes larger batches. It pays off if a model predicts many rows in little more
    time than one row, as on a GPU.
    """

    def __init__(self, *, seconds: float, threads: int, timeout: float = 30.0) -> None:
        self._seconds, self._timeout = seconds, timeout
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, "batches")
        self._waiting: dict[tuple[Any, ...], list[PendingRequest]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def run(
        self, servable: Servable, signature: Signature, arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return the outputs for the inputs, computed in a batch. Raises RequestError."""
        loop = asyncio.get_running_loop()
        sizes = {one.shape[0] if one.shape else 0 for one in arrays.values()}
        if not signature.in_rows() or len(sizes) != 1 or sizes == {0}:
            return await loop.run_in_executor(self._pool, self._run, servable, signature, arrays)
        # Only rows of one shape fit into one array.
        shapes = tuple(one.shape[1:] for one in arrays.values())
        key = (servable, signature.name, shapes)
        waiting = self._waiting.setdefault(key, [])
        pending = PendingRequest(arrays, sizes.pop(), loop.create_future())
        waiting.append(pending)
        if sum(one.num_rows for one in waiting) >= MAX_BATCH_ROWS:
            self._start_batch(key, waiting, signature)
        elif len(waiting) == 1:
            loop.call_later(self._seconds, self._start_batch, key, waiting, signature)
        return await pending.outputs

    def _start_batch(
        self, key: tuple[Any, ...], waiting: list[PendingRequest], signature: Signature
    ) -> None:
        if self._waiting.get(key) is not waiting:
            return  # the batch became full and has started already
        del self._waiting[key]
        task = asyncio.get_running_loop().create_task(self._run_batch(key[0], signature, waiting))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run_batch(
        self, servable: Servable, signature: Signature, waiting: list[PendingRequest]
    ) -> None:
        loop = asyncio.get_running_loop()
        batch = {
            name: np.concatenate([one.arrays[name] for one in waiting]) for name in signature.inputs
        }
        try:
            outputs = await loop.run_in_executor(self._pool, self._run, servable, signature, batch)
            if batch_of(outputs) != sum(one.num_rows for one in waiting):
                raise RequestError("INTERNAL", f"{signature.name!r} lost rows of a batch")
        except RequestError as error:
            if len(waiting) == 1 or error.code == "DEADLINE_EXCEEDED":
                for one in waiting:
                    _fail(one, error)
            else:
                # One invalid request must not fail the others.
                for one in waiting:
                    await self._run_batch(servable, signature, [one])
            return
        start = 0
        for one in waiting:
            if not one.outputs.done():
                part = slice(start, start + one.num_rows)
                one.outputs.set_result({name: array[part] for name, array in outputs.items()})
            start += one.num_rows

    def _run(
        self, servable: Servable, signature: Signature, arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        with servable.in_use():
            return servable.run_within(signature, arrays, self._timeout)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _fail(one: PendingRequest, error: RequestError) -> None:
    if not one.outputs.done():
        one.outputs.set_exception(error)
