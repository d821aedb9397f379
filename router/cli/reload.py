"""`reload`: read the configuration again."""

from __future__ import annotations

from router.cli.change import ReasonOption, conclude, reason_or_ask
from router.cli.session import Session, against_server


@against_server
def reload(session: Session, reason: ReasonOption = None) -> None:
    """Let the server read its configuration file again; a bad one is refused whole."""
    body = {"reason": reason_or_ask(reason)}
    conclude(session, session.client.change("POST", "reload", body=body))
