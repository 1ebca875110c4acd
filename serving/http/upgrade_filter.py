"""Removes the offer of another protocol from the head of a request.

Clients such as Java's offer HTTP/2 by default ("Upgrade: h2c"). The HTTP parser would drop the
bodies of such requests.
"""

import re

OFFER = re.compile(rb"upgrade[ \t]*:", re.IGNORECASE)
OFFER_START = re.compile(rb"(u|up|upg|upgr|upgra|upgrad|upgrade[ \t]*)\Z", re.IGNORECASE)


class UpgradeFilter:
    """Renames Upgrade headers to X-Upgrade, also if the head arrives in several parts."""

    def __init__(self) -> None:
        self._at_line_start = False
        self._withheld = b""  # the start of a line that may become an Upgrade header

    def filtered(self, data: bytes) -> bytes:
        """Return the next part of a request without the offer; the body stays unchanged."""
        data, self._withheld = self._withheld + data, b""
        lines, start = list[bytes](), 0
        while end := data.find(b"\n", start) + 1:
            line = data[start:end]
            if self._at_line_start and line in (b"\r\n", b"\n"):  # the head ends
                self._at_line_start = False
                return b"".join(lines) + data[start:]
            lines.append(self._renamed(line))
            self._at_line_start, start = True, end
        rest = data[start:]
        if self._at_line_start and OFFER_START.match(rest):
            self._withheld = rest
        elif rest:
            lines.append(self._renamed(rest))
            self._at_line_start = False
        return b"".join(lines)

    def _renamed(self, line: bytes) -> bytes:
        return b"x-" + line if self._at_line_start and OFFER.match(line) else line
