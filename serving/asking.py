"""From the body of a request to the body of an answer: at once, in a thread, or in a batch."""

import asyncio
import concurrent.futures
import time
from collections.abc import Callable

from serving.batching import Batcher
from serving.codec import Question, answer, question
from serving.faults import RequestError
from serving.servable import Servable


def answered(servable: Servable, body: bytes) -> bytes:
    """The answer to a request. Raises RequestError."""
    asked = question(body, servable)
    return answer(asked, servable.run(asked.signature, asked.arrays))


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
        if self._batcher:
            return await self._in_batches(servable, body)
        pace, size = servable.pace, len(body)
        if pace.quick(size):
            start = time.perf_counter()
            given = answered(servable, body)
            pace.note(size, time.perf_counter() - start)
            return given
        return await self._in_thread(servable, lambda: self._timed(servable, body))

    def _timed(self, servable: Servable, body: bytes) -> bytes:
        start = time.perf_counter()
        asked = question(body, servable)
        left = self.timeout - (time.perf_counter() - start)
        given = answer(asked, servable.run_within(asked.signature, asked.arrays, left))
        servable.pace.note(len(body), time.perf_counter() - start)
        return given

    async def _in_thread(self, servable: Servable, work: Callable[[], bytes]) -> bytes:
        def held() -> bytes:
            # Who asked may have given up; the version must not be closed all the same.
            with servable.held():
                return work()

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.timeout):
                return await loop.run_in_executor(self._pool, held)
        except TimeoutError:
            raise RequestError(
                "DEADLINE_EXCEEDED", f"No answer within {self.timeout:g} seconds"
            ) from None

    async def _in_batches(self, servable: Servable, body: bytes) -> bytes:
        asked: Question = question(body, servable)
        assert self._batcher
        try:
            async with asyncio.timeout(self.timeout):
                arrays = await self._batcher.run(servable, asked.signature, asked.arrays)
        except TimeoutError:
            raise RequestError(
                "DEADLINE_EXCEEDED", f"No answer within {self.timeout:g} seconds"
            ) from None
        return answer(asked, arrays)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
