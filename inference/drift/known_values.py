"""A set of known words or ids as bits, which holds none of them in clear text."""

import base64
import zlib
from collections.abc import Iterable

import numpy as np

BITS_PER_VALUE = 16  # one of 16 unknown values counts as known
MIN_BITS, MAX_BITS = 2**10, 2**20


class KnownValues:
    """Bits at the hashes of known values: any known value is found, and few unknown ones."""

    def __init__(self, bits: np.ndarray) -> None:
        self._bits = bits

    @classmethod
    def of(cls, values: Iterable[bytes]) -> "KnownValues | None":
        """Make the set; None of too many values for MAX_BITS."""
        distinct = set(values)
        size = max(MIN_BITS, 2 ** int(np.ceil(np.log2(max(1, len(distinct) * BITS_PER_VALUE)))))
        if size > MAX_BITS:
            return None
        bits = np.zeros(size, bool)
        bits[[zlib.crc32(one) % size for one in distinct]] = True
        return cls(bits)

    def contain(self, values: Iterable[bytes]) -> np.ndarray:
        """Return whether each value is known."""
        size = len(self._bits)
        places = np.fromiter((zlib.crc32(one) % size for one in values), "int64")
        return self._bits[places]

    def to_json(self) -> str:
        """Return the bits as text."""
        return base64.b64encode(zlib.compress(np.packbits(self._bits).tobytes())).decode()

    @classmethod
    def from_json(cls, text: str) -> "KnownValues":
        """Read the text of `to_json`. Raises ValueError."""
        try:
            content = zlib.decompress(base64.b64decode(text))
        except zlib.error as error:
            raise ValueError(str(error)) from None
        return cls(np.unpackbits(np.frombuffer(content, "uint8")).astype(bool))
