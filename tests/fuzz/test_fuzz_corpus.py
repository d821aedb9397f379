"""Every input of the corpus keeps every promise, and so do its near relatives.

The corpus has seeds (what the wire looks like) and findings (what once broke a promise).
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(CORPUS.glob("*/*"))
RELATIVES = 40
NOISE = [
    b"",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b";",
    b"\0",
    b"\x80",
    b'"',
    b"{",
    b"[",
    b"-",
]


def mutated(data: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(NOISE) + data[at + chance.randrange(4) :]


def test_every_target_has_a_corpus_and_nobody_else() -> None:
    assert {each.name for each in CORPUS.iterdir()} == set(TARGETS)
    assert all(any((CORPUS / name).iterdir()) for name in TARGETS)


@pytest.mark.parametrize("file", INPUTS, ids=lambda file: f"{file.parent.name}-{file.name}")
def test_an_input_and_its_relatives_break_no_promise(file: Path) -> None:
    target, data = TARGETS[file.parent.name], file.read_bytes()
    target(data)
    chance = Random(file.name)  # the same relatives each time
    for _ in range(RELATIVES):
        target(mutated(data, chance))
