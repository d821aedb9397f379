"""Does a call come from where it may?  A browser carries calls that its user knows nothing of.

Without tokens everybody on this host may call, so nobody else must be able to: not a web page
whose name was made to point at 127.0.0.1 (DNS rebinding), and not another host.  With or without
tokens, a call that may change something and comes from a page of another site is refused.
"""

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

CONSOLE: Final = "inference-router-console"
"""What the console sends as X-Requested-With: a form or a link cannot."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS: Final = {"http": "80", "https": "443"}


def why_foreign(method: str, host: str, origin: str | None) -> str | None:
    """Why a call with this Origin is refused; None if it is not."""
    if method in SAFE_METHODS or origin is None or _is_same(origin, host):
        return None
    return "the call comes from a web page of another site (Origin does not fit Host)"


def why_forged(headers: Mapping[str, str]) -> str | None:
    """Why a call that changes something is refused with a session; None if it is not.

    A browser adds the session to whatever it sends: only the console's own page can have sent a
    call that names its origin and carries a field of its own.
    """
    why = why_not_own(headers)
    if why is None and headers.get("x-requested-with") != CONSOLE:
        return f"a change with a session is sent with `X-Requested-With: {CONSOLE}`"
    return why


def why_not_own(headers: Mapping[str, str]) -> str | None:
    """Why a call is not one of a page of this very port; None if it is."""
    origin = headers.get("origin")
    if origin is not None and _is_same(origin, headers.get("host", "")):
        return None
    return "only a page of this port calls this: Origin is not there, or does not fit Host"


def why_exposed(host: str, peer: str | None, listens_on: str) -> str | None:
    """Why a call is refused while no token is configured; None if it is not.

    `peer` is the caller's address, None on a Unix socket.
    """
    if peer is not None and not _is_loopback(peer):
        return "without auth.tokens only callers on this host are served"
    name = _name(host)
    if name in ("localhost", listens_on.lower()) or name.endswith(".localhost") or _is_ip(name):
        return None
    return (
        "without auth.tokens the admin API is called by an IP address or as localhost, never by "
        "another name (which could be a web page's)"
    )


def _is_same(origin: str, host: str) -> bool:
    try:
        site = urlsplit(origin)
        port = site.port
    except ValueError:
        return False
    if site.scheme not in _PORTS or not site.hostname:
        return False
    default = _PORTS[site.scheme]
    return (site.hostname, str(port or default)) == (_name(host), _port(host) or default)


def _name(host: str) -> str:
    """A Host field without its port and without the brackets of an IPv6 address."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].removesuffix(".")


def _port(host: str) -> str:
    return host.strip().rpartition("]")[2].partition(":")[2]


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
