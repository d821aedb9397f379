"""Where a request stands that waits for a place: in the queue of its route, or of a version.

Kept beside the exchange, so that the many requests that never wait pay nothing for it.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from router.dataplane.admission import Admission
from router.errors import ErrorCode

if TYPE_CHECKING:
    from router.dataplane.table import LiveVersion


class NoPlace(StrEnum):
    """Why a request that needed a place got none: a metric's label."""

    FULL = "full"
    DEADLINE = "deadline"
    DISPLACED = "displaced"


_MESSAGES: Final = {
    NoPlace.FULL: "too many requests wait for {}",
    NoPlace.DEADLINE: "waited too long for a free place of {}",
    NoPlace.DISPLACED: "requests of a higher priority wait for the places of {}",
}


class Wait:
    """One request's waiting, until `due` (the worker's monotonic time) in all its queues together.

    `line` is the queue in which it stands now, None while it stands in none.  `version`: whose
    place it waits for; None: its route's.  `replay`: a canary has failed it, so that only stable
    will do.
    """

    __slots__ = ("due", "line", "replay", "version")

    def __init__(self, due: float) -> None:
        self.due: Final = due
        self.line: Admission | None = None
        self.version: LiveVersion | None = None
        self.replay = False

    @property
    def code(self) -> ErrorCode:
        """What the client is told if there is no place."""
        return ErrorCode.OVERLOADED if self.version is None else ErrorCode.VERSION_OVERLOADED

    def explain(self, why: NoPlace) -> str:
        """The same in words."""
        version = self.version
        whose = "this route" if version is None else f"version {version.spec.name}"
        return _MESSAGES[why].format(whose)
