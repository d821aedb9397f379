"""Who called, by the word of the proxies in front of the router (X-Forwarded-*, RFC 9110 §7.6.3).

A field that a client can send proves nothing by itself.  Each trusted proxy has added one entry at
the right of X-Forwarded-For, so with n of them the last n entries are their word and all before is
the client's own; what of it no proxy wrote is never passed on.
"""

import re
from typing import Final

from router.http1.request import RequestHead

_ADDRESS: Final = re.compile(rb"[0-9A-Za-z._:%\[\]-]{1,64}")
_SCHEMES: Final = (b"http", b"https")


def calling_addresses(head: RequestHead, peer: bytes, trusted: int) -> list[bytes]:
    """The client's address first, then the proxies it came through; the peer is the last one."""
    if not trusted:
        return [peer]
    entries = _entries(head, b"x-forwarded-for")[-trusted:]
    for at in range(len(entries) - 1, -1, -1):
        if not _ADDRESS.fullmatch(entries[at]):
            return [*entries[at + 1 :], peer]  # no proxy writes such a thing
    return [*entries, peer]


def calling_scheme(head: RequestHead, scheme: bytes, trusted: int) -> bytes:
    """How the client came to the outermost trusted proxy, as far as the nearest one says so."""
    said = _entries(head, b"x-forwarded-proto") if trusted else []
    return said[-1].lower() if said and said[-1].lower() in _SCHEMES else scheme


def via(head: RequestHead, pseudonym: bytes) -> bytes:
    """The proxies that the request came through, this one the last: so each can refuse a loop."""
    return b", ".join([*head.values(b"via"), b"1.1 " + pseudonym])


def has_passed(via: bytes, pseudonym: bytes) -> bool:
    """Whether a proxy of this very name is among those of a Via field."""
    if pseudonym not in via:
        return False
    entries = (each.split() for each in via.split(b","))
    return any(entry[1:2] == [pseudonym] for entry in entries)


def forwarded_lines(addresses: list[bytes], scheme: bytes, via: bytes) -> bytes:
    """The field lines that tell a model server who called, and through whom."""
    return b"x-forwarded-for: %b\r\nx-forwarded-proto: %b\r\nvia: %b\r\n" % (
        b", ".join(addresses),
        scheme,
        via,
    )


def _entries(head: RequestHead, name: bytes) -> list[bytes]:
    given = b",".join(head.values(name)).split(b",")
    return [entry for each in given if (entry := each.strip(b" \t"))]
