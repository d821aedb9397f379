"""Every way in which a command that asks a server, or a store's file, can fail.

`document` is what `--output json` prints: the server's problem details (RFC 9457) as they came, or
ours where no server gave any.
"""

from typing import Any, Final

from router.errors import RouterError


class CommandError(RouterError):
    """What was asked for was not done; the text is for a person."""

    type: str

    @property
    def document(self) -> dict[str, Any]:
        """The failure as problem details."""
        return {"type": f"urn:inference-router:client:{self.type}", "detail": str(self)}


class UnreachableError(CommandError):
    """Nothing was sent, so nothing has changed."""

    type = "unreachable"


class NoAnswerError(CommandError):
    """It was sent and no answer came: what it asked for may or may not have been done."""

    type = "no-answer"


class ForeignError(CommandError):
    """Something answered, but not the admin API that this release knows."""

    type = "foreign"


class RefusedError(CommandError):
    """The server says no, and why."""

    def __init__(self, status: int, answer: dict[str, Any], retry_after: str | None = None) -> None:
        why = answer.get("detail") or answer.get("title")
        super().__init__(f"refused with {status}" + (f": {why}" if why else ""))
        self.status: Final = status
        self.answer: Final = answer
        self.retry_after: Final = retry_after

    @property
    def document(self) -> dict[str, Any]:
        """As the server sent it."""
        return self.answer


class StoreFailedError(CommandError):
    """A store's file cannot be read, or not to its end."""

    type = "store"
