"""The table of transitions, and its picture in the docs."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.rollouts.commands import HAPPENINGS
from router.rollouts.diagram import diagram
from router.rollouts.phases import (
    COMMANDS,
    TRANSITIONS,
    Happening,
    IllegalEventError,
    Phase,
    Reason,
    commands_in,
    next_phase,
)

DOCS = Path(__file__).parents[2] / "docs" / "rollouts.md"


def test_the_docs_show_the_table_as_it_is() -> None:
    assert f"```mermaid\n{diagram()}\n```" in DOCS.read_text(encoding="utf-8")


def test_the_picture_has_every_transition() -> None:
    drawn = {
        (line.split(" --> ")[0].strip(), word, line.split(" --> ")[1].split(": ")[0])
        for line in diagram().splitlines()[2:]
        for word in line.split(": ", 1)[1].split(" / ")
    }
    table = {
        (str(phase), str(word), str(target))
        for phase, moves in TRANSITIONS.items()
        for word, target in moves.items()
    }
    assert drawn == table


def test_every_phase_has_its_row_and_a_way_out() -> None:
    assert set(TRANSITIONS) == set(Phase)
    for phase, moves in TRANSITIONS.items():
        assert set(moves.values()) - {phase}


def test_every_happening_is_legal_somewhere() -> None:
    assert {word for moves in TRANSITIONS.values() for word in moves} == set(Happening)


def test_every_command_is_a_happening() -> None:
    assert frozenset(HAPPENINGS.values()) == COMMANDS


def test_an_illegal_event_says_what_is_possible() -> None:
    with pytest.raises(IllegalEventError, match="promote is not possible while Degraded") as error:
        next_phase(Phase.DEGRADED, Happening.SKIPPED)
    assert error.value.possible == commands_in(Phase.DEGRADED)
    assert error.value.possible == ("start", "promote-full", "retry")


def test_the_docs_list_every_reason() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [reason for reason in Reason if f"`{reason}`" not in text] == []
