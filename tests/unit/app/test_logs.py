"""What a person or a program reads on standard error."""

from __future__ import annotations

import json
import logging
import sys

import pytest

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
    assert lines[1] == "  Traceback (most recent call last):"
    assert lines[-1] == "  ValueError: the fault"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("down\n1970-01-01 00:00:01.000Z INFO w0: all is well", r"down\n1970"),
        ("down\r\nInfo", r"down\r\nInfo"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\x85b\u2028c\u2029d", r"a\x85b\u2028c\u2029d"),
        ("\u202eesrever", r"\u202eesrever"),
        ("half \ud800", r"half \ud800"),
        ("tab\there", r"tab\there"),
        ("Straße 東京 😀 — plain", "Straße 東京 😀 — plain"),
    ],
)
def test_what_others_say_begins_no_line_and_steers_no_terminal(said: str, shown: str) -> None:
    line = TextFormatter("w0").format(record("w0: %s", said))
    assert len(line.splitlines()) == 1
    assert shown in line
    line.encode()


def test_the_words_of_a_fault_begin_no_line_of_the_log() -> None:
    fault = ValueError("a\n1970-01-01 00:00:01.000Z INFO w0: forged\x1b[0m")
    made = record("oops")
    made.exc_info = (ValueError, fault, None)
    first, *rest = TextFormatter("w0").format(made).split("\n")
    assert first.endswith("oops")
    assert all(line.startswith("  ") for line in rest)
    assert rest[-1].endswith(r"forged\x1b[0m")


def test_json_is_one_object_a_line_whatever_is_said() -> None:
    text = JsonFormatter("control").format(record("two\nlines", fault=True))
    assert "\n" not in text
    entry = json.loads(text)
    assert entry["message"] == "two\nlines"
    assert entry["process"] == "control"
    assert entry["level"] == "warning"
    assert "ValueError: the fault" in entry["traceback"]
