"""Checks Host headers against DNS rebinding.

Another site can let its name resolve to this machine. A browser then allows pages of that site to
read the responses of this server. Numeric addresses need no check: no other site can have them.
"""

import ipaddress
import socket
from collections.abc import Collection, Iterable

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ALL_INTERFACES = frozenset({"0.0.0.0", "::"})
ANY = "*"
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class AllowedHosts:
    """Names and addresses that the Host header of a request may have.

    Args:
        host: the address the server listens on. It and the loopback names are allowed; if it means
            every interface, any address and the name of this machine are allowed too.
        allowed: further names, such as those of a proxy; `*` allows all.

    """

    def __init__(self, host: str, allowed: Iterable[str] = ()) -> None:
        self._names = {*LOOPBACK, host.lower(), *(name.lower() for name in allowed)}
        self._any_address = host in ALL_INTERFACES
        if self._any_address:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def allows(self, headers: Collection[tuple[bytes, bytes]]) -> bool:
        """Whether the Host header is allowed; a request without one comes from no browser."""
        hosts = [value for name, value in headers if name == b"host"]
        return ANY in self._names or all(map(self._allows, hosts))

    def _allows(self, host: bytes) -> bool:
        name = _name(host.decode("latin-1").strip().lower())
        address = _address(name)
        return name in self._names or (
            address is not None and (self._any_address or address.is_loopback)
        )


def _name(host: str) -> str:
    """Return a host without port and without the dot that ends a full name."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _address(name: str) -> IPAddress | None:
    """Parse an address; None for a name."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
