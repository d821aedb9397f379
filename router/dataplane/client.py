"""What an exchange needs of a door: the client's side of one request."""

from typing import Protocol

from router.http1.response import ResponseHead


class Client(Protocol):
    """The client's side of one exchange: what a door offers."""

    forwarded: bytes
    """Field lines that tell the model server who called (Via, X-Forwarded-*)."""
    peer: str

    def ask_for_body(self) -> None:
        """Send 100 Continue if the client waits for it."""
        ...

    def start(
        self,
        head: ResponseHead,
        length: int | None,
        extra: bytes,
        body: bytes,
        framed: bytes | None,
        ended: bool,
    ) -> None:
        """Relay an answer's head, with what came of its body; `extra` are field lines."""
        ...

    def body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """Relay more of the body, or its end."""
        ...

    def reply(self, status: int, fields: bytes, body: bytes) -> None:
        """Send an answer of the router's own, whole."""
        ...

    def break_off(self, last_words: bytes) -> None:
        """End a begun answer so that the client sees it is not whole."""
        ...

    def pause_reading(self) -> None:
        """Take no more of the request's body for now."""
        ...

    def resume_reading(self) -> None:
        """Go on."""
        ...
