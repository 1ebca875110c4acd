"""Lines that the decoders of pictures write to standard error themselves."""

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator

# libjpeg's messages of damaged files (jerror.h): TensorFlow neither raises nor silences them.
LINES = re.compile(
    rb"^(Corrupt JPEG data|Premature end of JPEG|Invalid JPEG file|Unsupported marker type|"
    rb"Bogus |Invalid progressive parameters|Inconsistent progression sequence|"
    rb"Improper call to JPEG library|Input file read error|Unsupported JPEG|Invalid SOS|"
    rb"Unknown Adobe color transform|Invalid crop|Warning: unknown JFIF|Sorry, |Empty JPEG|"
    rb"Huffman table|Quantization table|Invalid JPEG|Application transferred too).*\n",
    re.MULTILINE,
)
_ALONE = threading.RLock()  # standard error is the whole process's


@contextlib.contextmanager
def without_decoder_messages() -> Iterator[None]:
    """Within this, standard error is held back; afterwards all but the decoders' lines appear."""
    with _ALONE, tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            held.seek(0)
            if other := LINES.sub(b"", held.read()):
                os.write(saved, other)
            os.close(saved)
