"""What the router takes from a client: how much, how slowly, and whose word about the caller."""

from typing import Final

import msgspec


class ClientRules(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one request on the wire; what is beyond them is refused, never cut.

    `min_body_bytes_per_s`: a body that comes more slowly, over a window of some seconds, is
    refused; 0 takes any.  `trusted_proxies` stand in front of the router: so many entries of
    X-Forwarded-For are believed, counted from the right; 0 believes nobody.
    """

    max_head_bytes: int = 64 * 1024
    max_fields: int = 128
    max_target_bytes: int = 8_000
    max_chunk_line_bytes: int = 4 * 1024
    max_trailer_bytes: int = 8 * 1024
    min_body_bytes_per_s: int = 240
    trusted_proxies: int = 0


RULES: Final = ClientRules()
"""As long as nobody configures others."""
