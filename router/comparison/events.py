"""The payloads of server-sent events (WHATWG HTML §9.2).  An event that has not ended is none."""

from collections.abc import Iterator


def payloads(body: bytes) -> Iterator[str]:
    """The data of each event, its lines joined."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    *events, _ = text.split("\n\n")  # an event ends at an empty line
    for event in events:
        data = list(_data(event)) if "data" in event else None
        if data:
            yield "\n".join(data)


def _data(event: str) -> Iterator[str]:
    for line in event.split("\n"):
        if line.startswith("data:"):
            yield line[5:].removeprefix(" ")
        elif line == "data":
            yield ""  # a field's name alone is the field, empty
