"""How the processes talk to the person who runs them: one line an event, on standard error.

What others have said (a model server's failure, an operator's reason) may stand in a message.  No
message begins a line that looks like one of ours, or tells a terminal anything: what cannot be
printed, line ends too, is shown as an escape.
"""

import json
import logging
import sys
import unicodedata
from datetime import UTC, datetime
from typing import Final

TEXT: Final = "text"
JSON: Final = "json"


class TextFormatter(logging.Formatter):
    """`2026-01-31 12:00:00.123 WARNING control: message`; a traceback follows, set in."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process: Final = process

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        text = f"{_time(record)} {record.levelname} {self._process}: {_shown(record.getMessage())}"
        if not record.exc_info:
            return text
        # Set in, line by line: the words of a fault may have lines too.
        lines = self.formatException(record.exc_info).split("\n")
        return "\n".join([text, *(f"  {_shown(line)}" for line in lines)])


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process: Final = process

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        entry = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure(process: str, style: str = TEXT) -> None:
    """Send this process's log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process) if style == JSON else TextFormatter(process))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # uvicorn tells at INFO that it starts and stops; our own lines say so already.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    # httpx tells every URL, and a Slack URL is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _shown(text: str) -> str:
    """The text with whatever is not printed written as an escape."""
    if text.isprintable():
        return text
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    # Cc: controls, Cf: what turns the direction of writing, Cs: halves, Zl, Zp: line ends.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode()
    return character


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{record.msecs:03.0f}Z"
