"""The audit chain: what it promises of what is written, and what the verifier finds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from router.audit.chain import (
    BEFORE_THE_FIRST,
    AuditError,
    Fault,
    FaultKind,
    Verdict,
    Verifier,
    canonical,
    chain,
    head_of,
    read_anchor,
)
from router.audit.entry import SYSTEM, Actor, Draft, Entry, Head

PROPERTY = settings(deadline=None, max_examples=100)

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
DRAFTS = st.builds(
    Draft,
    time_s=st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**31),
    actor=st.builds(Actor, TEXT, TEXT, TEXT),
    action=TEXT,
    route=st.none() | TEXT,
    reason=TEXT,
    before=JSON,
    after=JSON,
    generation=st.none() | st.integers(0, 2**40),
    evidence=JSON,
)
CHAINS = st.lists(DRAFTS, min_size=1, max_size=6).map(lambda drafts: chain(None, drafts))
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
NEW_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "time_s": st.floats(allow_nan=False, allow_infinity=False),
    "actor": st.builds(Actor, TEXT, TEXT, TEXT),
    "action": TEXT,
    "route": st.none() | TEXT,
    "reason": TEXT,
    "before": JSON,
    "after": JSON,
    "generation": st.none() | st.integers(0, 2**40),
    "evidence": JSON,
    "sequence": st.integers(-3, 10),
    "previous": HASHES,
    "hash": HASHES,
}


def drafts(count: int) -> list[Draft]:
    return [
        Draft(time_s=1_000.0 + n, actor=SYSTEM, action="weights.set", route="chat", after={"v1": n})
        for n in range(1, count + 1)
    ]


def verdict(
    entries: Sequence[Entry], head: Head | None, *, newest: Head | None = None, **more: Any
) -> Verdict:
    verifier = Verifier(head, **more)
    verifier.feed(entries)
    return verifier.finish(newest or head)


def fault(entries: Sequence[Entry], head: Head | None, **more: Any) -> Fault:
    found = verdict(entries, head, **more).fault
    assert found is not None
    return found


def written_anew(entries: Sequence[Entry], previous: Head | None = None) -> tuple[Entry, ...]:
    """What a forger does who knows how hashes are made."""
    return chain(previous, entries)


# -- what is written ---------------------------------------------------------------------------


@PROPERTY
@given(CHAINS)
def test_what_was_chained_verifies_and_nothing_is_lost_in_json(entries: tuple[Entry, ...]) -> None:
    back = msgspec.json.decode(msgspec.json.encode(entries), type=tuple[Entry, ...])
    assert back == entries
    head = head_of(entries[-1])
    assert verdict(back, head) == Verdict(len(entries), head)


@PROPERTY
@given(st.lists(DRAFTS, max_size=6), st.integers(0, 6))
def test_a_chain_that_was_made_in_two_goes_is_the_same_chain(all_: list[Draft], cut: int) -> None:
    first = chain(None, all_[:cut])
    second = chain(head_of(first[-1]) if first else None, all_[cut:])
    assert first + second == chain(None, all_)


def test_sequences_count_from_one_and_each_names_the_hash_before_it() -> None:
    one, two, three = chain(None, drafts(3))
    assert [one.sequence, two.sequence, three.sequence] == [1, 2, 3]
    assert [one.previous, two.previous, three.previous] == [BEFORE_THE_FIRST, one.hash, two.hash]


def test_the_hash_can_be_checked_without_this_program() -> None:
    draft = Draft(
        time_s=5, actor=SYSTEM, action="weights.set", route="chat", after={"ü": 1, "b": 2}
    )
    (entry,) = chain(None, [draft])
    told = {
        "time_s": 5.0,
        "actor": {"name": "controller", "role": "system"},
        "action": "weights.set",
        "route": "chat",
        "after": {"ü": 1, "b": 2},
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    lines = f"{'0' * 64}\n1\n{text}".encode()
    assert entry.hash == hashlib.sha256(lines).hexdigest()


def test_what_json_does_not_know_is_kept_by_its_name() -> None:
    evidence = {"p99": math.nan, "ratios": [math.inf, -math.inf, 1.0]}
    (entry,) = chain(None, [Draft(time_s=1.0, actor=SYSTEM, action="abort", evidence=evidence)])
    assert entry.evidence == {"p99": "NaN", "ratios": ["Infinity", "-Infinity", 1.0]}
    assert verdict([entry], head_of(entry)).fault is None


def test_values_that_become_json_are_kept_as_json() -> None:
    @dataclass
    class Reading:
        value: float

    class Word(StrEnum):
        YES = "yes"

    after = {1: (Word.YES, Reading(0.5)), "set": {3}}
    (entry,) = chain(None, [Draft(time_s=1.0, actor=SYSTEM, action="a", after=after)])
    assert entry.after == {"1": ["yes", {"value": 0.5}], "set": [3]}


@pytest.mark.parametrize("value", [object(), "\ud800", {"deep": [object()]}])
def test_what_cannot_be_written_is_refused_with_the_actions_name(value: object) -> None:
    with pytest.raises(AuditError, match=r"'weights\.set' cannot be written as JSON"):
        chain(None, [Draft(time_s=1.0, actor=SYSTEM, action="weights.set", after=value)])


def test_a_structure_without_an_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(AuditError):
        chain(None, [Draft(time_s=1.0, actor=SYSTEM, action="a", before=endless)])


def test_a_time_that_is_no_number_is_refused() -> None:
    with pytest.raises(AuditError, match="time_s"):
        chain(None, [Draft(time_s=math.nan, actor=SYSTEM, action="a")])


# -- what the verifier finds -------------------------------------------------------------------


@PROPERTY
@given(CHAINS, st.data())
def test_every_edit_of_every_field_is_found_where_it_was_made(
    entries: tuple[Entry, ...], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(st.sampled_from(Entry.__struct_fields__))
    value = data.draw(NEW_VALUES[field])
    edited = msgspec.structs.replace(entries[at], **{field: value})
    # The order of names is no content (RFC 8259 §4).
    written, stood = (msgspec.json.encode(one, order="sorted") for one in (edited, entries[at]))
    assume(written != stood)
    tampered = [*entries[:at], edited, *entries[at + 1 :]]
    assert fault(tampered, head_of(entries[-1])).sequence == at + 1


def test_every_field_is_among_those_that_are_edited() -> None:
    assert set(NEW_VALUES) == set(Entry.__struct_fields__)


@PROPERTY
@given(CHAINS, st.data())
def test_every_removal_is_found(entries: tuple[Entry, ...], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(entries) - 1))
    found = fault([*entries[:at], *entries[at + 1 :]], head_of(entries[-1]))
    is_last = at == len(entries) - 1
    assert found.kind is (FaultKind.CUT_OFF if is_last else FaultKind.MISSING)
    assert found.sequence == at + 1


@PROPERTY
@given(st.lists(DRAFTS, min_size=2, max_size=6), st.data())
def test_every_exchange_of_two_entries_is_found(all_: list[Draft], data: st.DataObject) -> None:
    entries = list(chain(None, all_))
    head = head_of(entries[-1])
    one = data.draw(st.integers(0, len(entries) - 2))
    other = data.draw(st.integers(one + 1, len(entries) - 1))
    entries[one], entries[other] = entries[other], entries[one]
    assert fault(entries, head).sequence == one + 1
    renumbered = [
        msgspec.structs.replace(entry, sequence=number) for number, entry in enumerate(entries, 1)
    ]
    assert fault(renumbered, head).sequence == one + 1


@PROPERTY
@given(CHAINS, st.data())
def test_a_trail_that_was_written_anew_from_some_entry_on_is_found_by_the_head(
    entries: tuple[Entry, ...], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(entries) - 1))
    edited = msgspec.structs.replace(entries[at], reason=entries[at].reason + "!")
    before = head_of(entries[at - 1]) if at else None
    forged = entries[:at] + written_anew([edited, *entries[at + 1 :]], before)
    found = fault(forged, head_of(entries[-1]))
    assert (found.sequence, found.kind) == (len(entries), FaultKind.REPLACED)


@PROPERTY
@given(st.lists(DRAFTS, max_size=6), st.lists(st.integers(0, 6), max_size=4))
def test_the_size_of_blocks_makes_no_difference(all_: list[Draft], cuts: list[int]) -> None:
    entries = chain(None, all_)
    head = head_of(entries[-1]) if entries else None
    verifier = Verifier(head)
    edges = [0, *sorted(cuts), len(entries)]
    for start, end in pairwise(edges):
        verifier.feed(entries[start:end])
    assert verifier.finish(head) == verdict(entries, head)


def test_one_entry_written_anew_breaks_the_chain_after_it() -> None:
    entries = chain(None, drafts(5))
    edited = msgspec.structs.replace(entries[2], reason="nothing to see")
    (forged,) = written_anew([edited], head_of(entries[1]))
    found = fault([*entries[:2], forged, *entries[3:]], head_of(entries[-1]))
    assert found.problem == "entry 4 does not follow 3: one of the two was written anew"


def test_only_the_first_fault_is_told() -> None:
    entries = list(chain(None, drafts(9)))
    head = head_of(entries[-1])
    entries[6] = msgspec.structs.replace(entries[6], reason="x")
    entries[2] = msgspec.structs.replace(entries[2], reason="x")
    found = verdict(entries[:8], head)
    assert found.fault is not None
    assert found.fault.problem == "entry 3 was edited: its content does not give its hash"
    assert (found.entries, found.head) == (2, head_of(entries[1]))


def test_a_trail_without_its_end_names_the_first_missing_entry() -> None:
    entries = chain(None, drafts(5))
    found = fault(entries[:3], head_of(entries[-1]))
    assert found == Fault(
        4, FaultKind.CUT_OFF, "entry 4 is missing: the trail is cut off, it went on to 5"
    )


def test_a_trail_that_was_emptied_is_cut_off_at_its_beginning() -> None:
    entries = chain(None, drafts(5))
    assert fault([], head_of(entries[-1])).sequence == 1


def test_entries_that_no_commit_has_recorded_are_found() -> None:
    entries = chain(None, drafts(5))
    found = fault(entries, head_of(entries[2]))
    assert (found.sequence, found.kind) == (4, FaultKind.UNRECORDED)
    assert fault(entries, None).sequence == 1


def test_entries_that_were_committed_while_it_read_are_no_fault() -> None:
    entries = chain(None, drafts(5))
    before, after = head_of(entries[2]), head_of(entries[4])
    assert verdict(entries[:4], before, newest=after).fault is None
    assert verdict(entries, before, newest=after).fault is None
    assert verdict(entries[:2], before, newest=after).fault is not None


def test_what_cannot_be_read_is_a_fault_of_the_entry_that_should_come_next() -> None:
    entries = chain(None, drafts(5))
    verifier = Verifier(head_of(entries[-1]))
    verifier.feed(entries[:2])
    verifier.on_unreadable("gibberish")
    found = verifier.finish(head_of(entries[-1])).fault
    assert found is not None
    assert (found.sequence, found.kind) == (3, FaultKind.UNREADABLE)


# -- anchors -----------------------------------------------------------------------------------


def test_a_whole_new_trail_is_found_by_an_anchor_that_was_kept_elsewhere() -> None:
    entries = chain(None, drafts(5))
    anchor = read_anchor(str(head_of(entries[2])))
    forged = written_anew([msgspec.structs.replace(e, reason="forged") for e in entries])
    head = head_of(forged[-1])
    assert verdict(forged, head).fault is None
    found = fault(forged, head, anchors=[anchor])
    assert (found.sequence, found.kind) == (3, FaultKind.REPLACED)
    assert verdict(entries, head_of(entries[-1]), anchors=[anchor]).fault is None


def test_a_trail_that_ends_before_an_anchor_is_cut_off() -> None:
    entries = chain(None, drafts(5))
    found = fault(entries[:3], head_of(entries[2]), anchors=[head_of(entries[4])])
    assert (found.sequence, found.kind) == (4, FaultKind.CUT_OFF)


def test_two_anchors_of_one_entry_must_agree() -> None:
    entries = chain(None, drafts(3))
    found = fault(entries, head_of(entries[-1]), anchors=[Head(3, "0" * 64)])
    assert found.sequence == 3


@pytest.mark.parametrize(
    "text", ["", "5", "5:", f"0:{'a' * 64}", f"x:{'a' * 64}", f"5:{'g' * 64}", f"5:{'a' * 63}"]
)
def test_a_text_that_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(AuditError, match="SEQUENCE:HASH"):
        read_anchor(text)


# -- a trail whose beginning is no longer kept -------------------------------------------------


def test_a_trail_is_verified_from_where_it_is_kept() -> None:
    entries = chain(None, drafts(6))
    head, origin = head_of(entries[-1]), head_of(entries[2])
    assert verdict(entries[3:], head, origin=origin) == Verdict(3, head)
    assert fault(entries[4:], head, origin=origin).sequence == 4
    assert fault(entries[3:], head, origin=Head(3, "0" * 64)).sequence == 4


def test_an_anchor_before_the_kept_trail_is_not_passed_over() -> None:
    entries = chain(None, drafts(6))
    head, origin = head_of(entries[-1]), head_of(entries[2])
    found = fault(entries[3:], head, origin=origin, anchors=[head_of(entries[1])])
    assert (found.sequence, found.kind) == (2, FaultKind.MISSING)


def test_the_canonical_text_leaves_out_what_is_at_its_default() -> None:
    draft = Draft(time_s=1.0, actor=SYSTEM, action="a")
    assert canonical(draft) == (
        b'{"action":"a","actor":{"name":"controller","role":"system"},"time_s":1.0}'
    )
    assert canonical(msgspec.structs.replace(draft, route="")) != canonical(draft)
