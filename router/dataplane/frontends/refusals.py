"""Why a request is refused for how it came, beyond its syntax: labels of a closed set.

The parsers name the rule that was broken (`ProtocolError.reason`).  What an exchange refuses has
an error code, and these statuses have only one cause each.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from router.dataplane.server import DataPlane

REASONS: Final = {408: "body_timeout", 413: "body_too_large", 508: "loop"}


def count_reply(plane: "DataPlane", status: int) -> None:
    """Count an exchange's own answer, if it is such a refusal."""
    reason = REASONS.get(status)
    if reason is not None:
        plane.count_refusal(str(status), reason)
