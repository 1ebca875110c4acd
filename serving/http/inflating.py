"""Decompresses the bodies of requests with bounded memory."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Collection

from inference.request_errors import RequestError, invalid

ENCODINGS = "gzip, deflate"
COMPRESSION_HEADERS = (b"content-encoding", b"transfer-encoding")
SLICE_BYTES = 2**18  # to decompress at once, in less than a millisecond
MAX_GZIP_MEMBERS = 1024  # of one body, because zlib copies the rest of the body after each
GZIP, ZLIB_OR_GZIP, RAW = b"\x1f\x8b", zlib.MAX_WBITS | 32, -zlib.MAX_WBITS


def encoding_of(headers: Collection[tuple[bytes, bytes]]) -> str:
    """Return the compression of a body: "gzip", "deflate" or "" for none.

    A body may be compressed by Content-Encoding or by Transfer-Encoding ("gzip, chunked"), not by
    both. Raises RequestError (415) for other encodings.
    """
    encodings = [
        one.strip().lower().removeprefix("x-")
        for name, value in headers
        if name in COMPRESSION_HEADERS
        for one in value.decode("latin-1").split(",")
    ]
    encodings = [one for one in encodings if one not in ("", "identity", "chunked")]
    if len(encodings) > 1 or not set(encodings) <= {"gzip", "deflate"}:
        raise RequestError(
            "INVALID_ARGUMENT",
            f"Received a body encoded by {', '.join(encodings)[:100]!r}; expected one of "
            f"{ENCODINGS}, or none",
            415,
        )
    return encodings[0] if encodings else ""


async def decompress(body: bytes, encoding: str) -> AsyncIterator[bytes]:
    """Yield the parts of a body; other requests run between them. Raises RequestError."""
    members = 0
    try:
        while body:
            members += 1
            if members > MAX_GZIP_MEMBERS:
                raise invalid(f"The body has more than {MAX_GZIP_MEMBERS} members of {encoding}")
            # Some clients send deflate without the frame that the standard requires.
            raw = encoding == "deflate" and not _has_frame(body)
            stream = zlib.decompressobj(RAW if raw else ZLIB_OR_GZIP)
            while not stream.eof:
                part = stream.decompress(body, SLICE_BYTES)
                body = stream.unconsumed_tail
                if not part and not body and not stream.eof:
                    raise invalid(f"The body is {encoding} that is cut short")
                yield part
                await asyncio.sleep(0)
            body = stream.unused_data
            if body and not body.startswith(GZIP):
                raise invalid(f"The body has bytes behind its {encoding}")
    except zlib.error as error:
        raise invalid(f"The body is not {encoding}: {error}") from None


def _has_frame(body: bytes) -> bool:
    """Whether a body begins with the two bytes of zlib's frame."""
    return body[0] & 15 == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0
