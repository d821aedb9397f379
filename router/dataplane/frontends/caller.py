"""What both doors tell a model server of a request that came through other proxies."""

from typing import TYPE_CHECKING

from router.http1.caller import calling_addresses, calling_scheme, forwarded_lines, via
from router.http1.request import RequestHead

if TYPE_CHECKING:
    from router.dataplane.server import DataPlane


def read_caller(
    plane: "DataPlane", head: RequestHead, address: str, scheme: str
) -> tuple[str, bytes]:
    """The client's address, and the field lines for the model server."""
    trusted = plane.rules.trusted_proxies
    addresses = calling_addresses(head, address.encode(), trusted)
    scheme_ = calling_scheme(head, scheme.encode(), trusted)
    lines = forwarded_lines(addresses, scheme_, via(head, plane.pseudonym))
    return addresses[0].decode("ascii"), lines
