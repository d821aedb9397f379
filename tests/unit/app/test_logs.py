"""What a person or a program reads on standard error."""

from __future__ import annotations

import json
import logging
import sys

from router.app.logs import JsonFormatter, TextFormatter


def record(message: str, *args: object, fault: bool = False) -> logging.LogRecord:
    problem = None
    if fault:
        try:
            raise ValueError("the fault")
        except ValueError:
            problem = sys.exc_info()
    made = logging.LogRecord("router.link", logging.WARNING, "", 0, message, args, problem)
    made.created, made.msecs = 0.25, 250.0
    return made


def test_a_line_has_time_level_and_process() -> None:
    line = TextFormatter("w0").format(record("generation %d", 7))
    assert line == "1970-01-01 00:00:00.250Z WARNING w0: generation 7"


def test_a_traceback_stands_below_its_line() -> None:
    lines = TextFormatter("w0").format(record("oops", fault=True)).splitlines()
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: the fault"


def test_json_is_one_object_a_line_whatever_is_said() -> None:
    text = JsonFormatter("control").format(record("two\nlines", fault=True))
    assert "\n" not in text
    entry = json.loads(text)
    assert entry["message"] == "two\nlines"
    assert entry["process"] == "control"
    assert entry["level"] == "warning"
    assert "ValueError: the fault" in entry["traceback"]
