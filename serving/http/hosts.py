"""By which names a server may be asked, so that a page of another site cannot ask it.

A name of somebody else's can be made to mean this machine (DNS rebinding): then a browser lets
that site's page read what the server answers. An address is no such name.
"""

import ipaddress
import socket
from collections.abc import Collection, Iterable

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY = frozenset({"0.0.0.0", "::"})  # networks that this machine is in
ANY = "*"
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Hosts:
    """Names and addresses that the Host header of a request may have.

    Args:
        host: where the server listens. Its own name and loopback's are taken; of a server that
            listens on every network any address, and this machine's name.
        allowed: further names, such as those of a proxy before it; `*` takes all.

    """

    def __init__(self, host: str, allowed: Iterable[str] = ()) -> None:
        self._names = {*LOOPBACK, host.lower(), *(name.lower() for name in allowed)}
        self._addresses = host in EVERY
        if self._addresses:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def takes(self, headers: Collection[tuple[bytes, bytes]]) -> bool:
        """Whether a request with these headers asks by a name that is taken.

        A request without a Host comes from no browser.
        """
        given = [value for name, value in headers if name == b"host"]
        return ANY in self._names or all(map(self._takes, given))

    def _takes(self, given: bytes) -> bool:
        name = _name(given.decode("latin-1").strip().lower())
        address = _address(name)
        return name in self._names or (
            address is not None and (self._addresses or address.is_loopback)
        )


def _name(host: str) -> str:
    """A host without its port, and without the dot that ends a full name."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _address(name: str) -> IPAddress | None:
    """The address that a name is, however it is written; None for a name that is none."""
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
