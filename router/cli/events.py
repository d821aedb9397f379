"""`events`: everything that changes, as it happens.

A connection that ends is made again, from the last event on: control may be restarted at any time.
"""

from __future__ import annotations

import json
import time as clock
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import typer

from router.cli.failures import CommandError, NoAnswerError, RefusedError, UnreachableError
from router.cli.output import Output, plain, print_json_line
from router.cli.session import Session, against_server
from router.cli.words import time

if TYPE_CHECKING:
    from router.cli.client import AdminClient
    from router.cli.sse import Event

FIRST_DELAY_S: Final = 0.5
MAX_DELAY_S: Final = 15.0


def _say_error(text: str) -> None:
    typer.echo(text, err=True)


@against_server
def events(session: Session) -> None:
    """Follow what changes until Ctrl-C, one line an event (json: one document a line)."""
    say = _say_json if session.output is Output.JSON else _say
    try:
        for event in follow(session.client, clock.sleep):
            say(event)
    except KeyboardInterrupt:
        return  # this is how it is meant to end


def follow(
    client: AdminClient,
    sleep: Callable[[float], None],
    *,
    patient: bool = False,
    say: Callable[[str], None] = _say_error,
) -> Iterator[Event]:
    """Events for ever; `say` is told why there are none for a while.

    Raises:
        CommandError: there is nothing to follow: the first connection failed (unless `patient`:
            somebody knows that the server is there), or a later one was refused for good.
    """
    last: str | None = None
    connected, delay_s = patient, FIRST_DELAY_S
    while True:
        try:
            with client.follow("events", last=last) as stream:
                connected = True
                for event in stream:
                    last, delay_s = event.id or last, FIRST_DELAY_S
                    yield event
            why = "the stream has ended"
        except CommandError as error:
            if not (connected and passes(error)):
                raise
            why = str(error)
        say(f"{plain(why)}; connecting again in {delay_s:g} s")
        sleep(delay_s)
        delay_s = min(2 * delay_s, MAX_DELAY_S)


def passes(error: CommandError) -> bool:
    """Whether it is worth trying again: what a restarting control, or a full one, says."""
    if isinstance(error, RefusedError):
        return error.status in (429, 503)
    return isinstance(error, (UnreachableError, NoAnswerError))


def _say(event: Event) -> None:
    content = content_of(event)
    when, route = content.pop("time", None), content.pop("route", None)
    # What the line says already.
    for name in ("number", "kind"):
        content.pop(name, None)
    words = [
        time(when) if isinstance(when, (int, float)) else "",
        event.kind,
        route,
        *(f"{name}={_value(value)}" for name, value in content.items()),
    ]
    typer.echo(" ".join(plain(word) for word in words if word))


def _say_json(event: Event) -> None:
    print_json_line({"id": event.id, "event": event.kind, "data": content_of(event)})


def content_of(event: Event) -> dict[str, Any]:
    """An event's document; what is none comes as `data`."""
    try:
        content = json.loads(event.data)
    except ValueError:
        content = event.data
    return content if isinstance(content, dict) else {"data": content}


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
