"""Executes requests: on the event loop, in a thread, or in a batch."""

import asyncio
import concurrent.futures
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from inference.latency_estimate import RequestSize, request_size
from inference.request_errors import RequestError
from inference.servable import Servable
from serving.batching import Batcher
from serving.http.codec import PredictRequest, encode_response, parse_request

MAX_INLINE_BYTES = 2**17  # larger bodies are parsed or encoded in a thread


def respond(servable: Servable, body: bytes) -> bytes:
    """Return the response to a request, and record its latency. Raises RequestError."""
    start = time.perf_counter()
    request = parse_request(body, servable)
    return _run(servable, request, request_size(request.arrays), start)


def _run(servable: Servable, request: PredictRequest, size: RequestSize, start: float) -> bytes:
    outputs = servable.run(request.signature, request.arrays)
    response = encode_response(request, outputs)
    servable.observe(request.signature, request.arrays, outputs)
    servable.latency.record(request.signature.name, size, time.perf_counter() - start)
    return response


class RequestExecutor:
    """Executes quick requests on the event loop and others in threads.

    Attributes:
        timeout: maximum seconds for a request.

    """

    def __init__(self, *, timeout: float, threads: int, batcher: Batcher | None = None) -> None:
        self.timeout = timeout
        self._batcher = batcher
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, "requests")

    async def execute(self, servable: Servable, body: bytes) -> bytes:
        """Return the response to a request. Raises RequestError, also after `timeout`."""
        start = time.perf_counter()
        if len(body) > MAX_INLINE_BYTES:
            request = await self.in_thread(servable, lambda: parse_request(body, servable))
        else:
            request = parse_request(body, servable)
        if self._batcher:
            outputs = await self._in_batch(self._batcher, servable, request)
            servable.observe(request.signature, request.arrays, outputs)
            if sum(one.nbytes for one in outputs.values()) > MAX_INLINE_BYTES:
                return await self.in_thread(servable, lambda: encode_response(request, outputs))
            return encode_response(request, outputs)
        size = request_size(request.arrays)
        if servable.latency.is_quick(request.signature.name, size):
            return _run(servable, request, size, start)
        return await self.in_thread(servable, lambda: self._timed(servable, request, size, start))

    def _timed(
        self, servable: Servable, request: PredictRequest, size: RequestSize, start: float
    ) -> bytes:
        thread_start = time.perf_counter()
        seconds_left = self.timeout - (thread_start - start)
        outputs = servable.run_within(request.signature, request.arrays, seconds_left)
        response = encode_response(request, outputs)
        servable.observe(request.signature, request.arrays, outputs)
        # The time spent waiting for a thread does not count.
        servable.latency.record(request.signature.name, size, time.perf_counter() - thread_start)
        return response

    async def in_thread(self, servable: Servable, work: Callable[[], Any]) -> Any:
        """Run a function in a thread. Raises RequestError after `timeout`."""

        def run() -> Any:
            # After a timeout the thread still runs; the version must stay open.
            with servable.in_use():
                return work()

        loop = asyncio.get_running_loop()
        async with self._deadline():
            return await loop.run_in_executor(self._pool, run)

    async def _in_batch(self, batcher: Batcher, servable: Servable, request: PredictRequest) -> Any:
        async with self._deadline():
            return await batcher.run(servable, request.signature, request.arrays)

    @contextlib.asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        """Raise RequestError after `timeout`."""
        try:
            async with asyncio.timeout(self.timeout):
                yield
        except TimeoutError:
            message = f"No response within {self.timeout:g} seconds"
            raise RequestError("DEADLINE_EXCEEDED", message) from None

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
