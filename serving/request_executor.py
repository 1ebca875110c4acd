"""From the body of a request to the body of an answer: at once, in a thread, or in a batch."""

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
from serving.http.codec import Question, answer, question

# Bytes of a request or of an answer that are read or written at once; more are in a thread.
SMALL = 2**17


def answered(servable: Servable, body: bytes) -> bytes:
    """The answer to a request, whose time is remembered. Raises RequestError."""
    start = time.perf_counter()
    asked = question(body, servable)
    return _run(servable, asked, request_size(asked.arrays), start)


def _run(servable: Servable, asked: Question, load: RequestSize, start: float) -> bytes:
    given = answer(asked, servable.run(asked.signature, asked.arrays))
    servable.latency.record(asked.signature.name, load, time.perf_counter() - start)
    return given


class Asker:
    """Answers requests on an event loop: quick ones there, others in threads.

    Attributes:
        timeout: seconds after which a request is given up.

    """

    def __init__(self, *, timeout: float, threads: int, batcher: Batcher | None = None) -> None:
        self.timeout = timeout
        self._batcher = batcher
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, "asking")

    async def ask(self, servable: Servable, body: bytes) -> bytes:
        """The answer to a request. Raises RequestError, also where it takes too long."""
        start = time.perf_counter()
        if len(body) > SMALL:
            asked = await self.in_thread(servable, lambda: question(body, servable))
        else:
            asked = question(body, servable)
        if self._batcher:
            given = await self._in_batch(self._batcher, servable, asked)
            if sum(one.nbytes for one in given.values()) > SMALL:
                return await self.in_thread(servable, lambda: answer(asked, given))
            return answer(asked, given)
        load = request_size(asked.arrays)
        if servable.latency.is_quick(asked.signature.name, load):
            return _run(servable, asked, load, start)
        return await self.in_thread(servable, lambda: self._timed(servable, asked, load, start))

    def _timed(self, servable: Servable, asked: Question, load: RequestSize, start: float) -> bytes:
        begun = time.perf_counter()
        left = self.timeout - (begun - start)
        given = answer(asked, servable.run_within(asked.signature, asked.arrays, left))
        # How long it waited for a thread says nothing of how long it takes.
        servable.latency.record(asked.signature.name, load, time.perf_counter() - begun)
        return given

    async def in_thread(self, servable: Servable, work: Callable[[], Any]) -> Any:
        """What the work gives, while others are answered. Raises RequestError after too long."""

        def held() -> Any:
            # Who asked may have given up; the version must not be closed all the same.
            with servable.in_use():
                return work()

        loop = asyncio.get_running_loop()
        async with self._patience():
            return await loop.run_in_executor(self._pool, held)

    async def _in_batch(self, batcher: Batcher, servable: Servable, asked: Question) -> Any:
        async with self._patience():
            return await batcher.run(servable, asked.signature, asked.arrays)

    @contextlib.asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        """Raise RequestError where the time is over."""
        try:
            async with asyncio.timeout(self.timeout):
                yield
        except TimeoutError:
            message = f"No answer within {self.timeout:g} seconds"
            raise RequestError("DEADLINE_EXCEEDED", message) from None

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
