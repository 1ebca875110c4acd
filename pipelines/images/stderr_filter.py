"""Filter out the messages that image decoders write directly to standard error."""

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator

# libjpeg's messages about damaged files (jerror.h): TensorFlow neither raises nor silences them.
DECODER_MESSAGES = re.compile(
    rb"^(Corrupt JPEG data|Premature end of JPEG|Invalid JPEG file|Unsupported marker type|"
    rb"Bogus |Invalid progressive parameters|Inconsistent progression sequence|"
    rb"Improper call to JPEG library|Input file read error|Unsupported JPEG|Invalid SOS|"
    rb"Unknown Adobe color transform|Invalid crop|Warning: unknown JFIF|Sorry, |Empty JPEG|"
    rb"Huffman table|Quantization table|Invalid JPEG|Application transferred too).*\n",
    re.MULTILINE,
)
_LOCK = threading.RLock()  # standard error belongs to the whole process


@contextlib.contextmanager
def suppress_decoder_messages() -> Iterator[None]:
    """Buffer standard error within this context, then write all but the decoders' messages."""
    with _LOCK, tempfile.TemporaryFile() as buffer:
        saved = os.dup(2)
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            buffer.seek(0)
            if other := DECODER_MESSAGES.sub(b"", buffer.read()):
                os.write(saved, other)
            os.close(saved)
