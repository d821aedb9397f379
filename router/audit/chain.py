"""Give audit entries their places in the chain, and find the first one that was tampered with.

An entry's hash is SHA-256 over three lines: the hash of the entry before it, its own sequence,
and its draft as canonical JSON (UTF-8, keys sorted, no spaces, fields at their default left out,
no line feed at the end).  So anybody can check it with a shell, and a later release may add
fields to `Draft` without breaking what was written before.

The chain has no secret: who can write the file can also write a whole new chain.  That is found
by an anchor, a `sequence:hash` that was kept elsewhere.

Guarantees (each is a test in tests/unit/audit/test_chain.py):
  * an entry made by `chain` equals the one that is read back from its JSON;
  * the verifier finds every edit of every field, every removal and every exchange, and names
    the first place where the trail is not what was written.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from math import isfinite, isnan
from typing import Any, Final

import msgspec

from router.audit.entry import Actor, Draft, Entry, Head
from router.errors import RouterError

BEFORE_THE_FIRST: Final = "0" * 64

_encoder: Final = msgspec.json.Encoder(order="sorted")
_decoder: Final = msgspec.json.Decoder(Draft)


class AuditError(RouterError):
    """An entry that cannot be written down, or an anchor that is none."""


# -- writing -----------------------------------------------------------------------------------


def chain(previous: Head | None, drafts: Iterable[Draft]) -> tuple[Entry, ...]:
    """Append drafts to the entry `previous` (None: there is none yet).

    Raises:
        AuditError: a draft holds what JSON cannot.
    """
    entries = []
    for draft in drafts:
        entry = _place(previous, as_written(draft))
        entries.append(entry)
        previous = head_of(entry)
    return tuple(entries)


def head_of(entry: Entry) -> Head:
    """Where the next entry goes on."""
    return Head(entry.sequence, entry.hash)


def as_written(draft: Draft) -> Draft:
    """A draft as it will be read back: JSON values throughout.

    NaN and the infinities, which JSON does not know, become the texts NaN, Infinity, -Infinity:
    an analysis that measured them is evidence too.

    Raises:
        AuditError: naming the action and the reason, never a value.
    """
    try:
        plain = _finite(msgspec.to_builtins(draft, str_keys=True))
        return _decoder.decode(_encoder.encode(plain))
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise AuditError(
            f"audit entry {draft.action!r} cannot be written as JSON: {error}"
        ) from None


def canonical(draft: Draft) -> bytes:
    """A draft's (or entry's) content as the one JSON text that stands for it."""
    content = {name: getattr(draft, name) for name in Draft.__struct_fields__}
    content["actor"] = _told(msgspec.to_builtins(draft.actor), _ACTOR_DEFAULTS)
    return _encoder.encode(_told(content, _DRAFT_DEFAULTS))


def _place(previous: Head | None, draft: Draft) -> Entry:
    sequence, before = _next_place(previous)
    return placed(draft, sequence, before, _digest(before, sequence, draft))


def placed(draft: Draft, sequence: int, previous: str, hash_: str) -> Entry:
    """A draft with its place; what a store reads back."""
    return Entry(
        time_s=draft.time_s,
        actor=draft.actor,
        action=draft.action,
        route=draft.route,
        reason=draft.reason,
        before=draft.before,
        after=draft.after,
        generation=draft.generation,
        evidence=draft.evidence,
        sequence=sequence,
        previous=previous,
        hash=hash_,
    )


def _next_place(previous: Head | None) -> tuple[int, str]:
    return (1, BEFORE_THE_FIRST) if previous is None else (previous.sequence + 1, previous.hash)


def _digest(previous: str, sequence: int, draft: Draft) -> str:
    return sha256(b"%b\n%d\n%b" % (previous.encode(), sequence, canonical(draft))).hexdigest()


def _defaults(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {f.name: f.default for f in msgspec.structs.fields(struct) if not f.required}


_DRAFT_DEFAULTS: Final = _defaults(Draft)
_ACTOR_DEFAULTS: Final = _defaults(Actor)


def _told(content: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in content.items()
        if name not in defaults or value != defaults[name]
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value


# -- verifying ---------------------------------------------------------------------------------


class FaultKind(StrEnum):
    """What is wrong with a trail."""

    EDITED = "edited"
    REPLACED = "replaced"
    UNREADABLE = "unreadable"
    MISSING = "missing"
    OUT_OF_ORDER = "outOfOrder"
    CUT_OFF = "cutOff"
    UNRECORDED = "unrecorded"


class Fault(msgspec.Struct, frozen=True):
    """The first place where the trail is not what was written, and what is wrong there."""

    sequence: int
    kind: FaultKind
    problem: str


class Verdict(msgspec.Struct, frozen=True):
    """What a verification has found; `head` is the last entry that was good.

    `entries` counts the good ones.
    """

    entries: int
    head: Head | None
    fault: Fault | None = None


class Verifier:
    """Reads a trail once, in order, in blocks of any size.

    `head` is the recorded one as it was before the first block was read; entries that were
    committed while it reads may follow it.  `origin` is the entry before the first one that is
    kept (None: the trail is whole).  `anchors` were kept elsewhere.
    """

    def __init__(
        self, head: Head | None, *, origin: Head | None = None, anchors: Iterable[Head] = ()
    ) -> None:
        self._last = origin
        self._entries = 0
        self._anchors: Final[dict[int, set[str]]] = defaultdict(set)
        for anchor in (*([head] if head else []), *anchors):
            self._anchors[anchor.sequence].add(anchor.hash)
        self.fault = None if origin is None else self._judge_origin(origin)

    def feed(self, entries: Iterable[Entry]) -> None:
        """Go on with these; after the first fault nothing more is judged."""
        for entry in entries:
            if self.fault is None:
                self.fault = self._judge(entry)
            if self.fault is not None:
                return
            self._last = head_of(entry)
            self._entries += 1

    def on_unreadable(self, problem: str) -> None:
        """What comes next cannot even be read."""
        if self.fault is None:
            place, _ = _next_place(self._last)
            self.fault = _fault(place, FaultKind.UNREADABLE, f"cannot be read: {problem}")

    def finish(self, newest: Head | None) -> Verdict:
        """Judge the end; `newest` is the recorded head as it is after the last block."""
        if self.fault is None:
            self.fault = self._judge_end(newest)
        return Verdict(self._entries, self._last, self.fault)

    def _judge(self, entry: Entry) -> Fault | None:
        place, previous = _next_place(self._last)
        if entry.sequence > place:
            return _fault(place, FaultKind.MISSING, f"is missing: {entry.sequence} comes next")
        if entry.sequence < place:
            return _fault(
                place, FaultKind.OUT_OF_ORDER, f"is not there: {entry.sequence} stands in its place"
            )
        return self._judge_content(entry, previous) or self._judge_anchor(head_of(entry))

    def _judge_content(self, entry: Entry, previous: str) -> Fault | None:
        sound = _digest(entry.previous, entry.sequence, entry) == entry.hash
        match sound, entry.previous == previous:
            case True, True:
                return None
            case False, True:
                kind, problem = FaultKind.EDITED, "was edited: its content does not give its hash"
            case False, False:
                kind = FaultKind.REPLACED
                problem = "was edited, or moved here from another place"
            case _:
                kind = FaultKind.REPLACED
                problem = f"does not follow {entry.sequence - 1}: one of the two was written anew"
        return _fault(entry.sequence, kind, problem)

    def _judge_anchor(self, place: Head) -> Fault | None:
        if self._anchors.get(place.sequence, {place.hash}) == {place.hash}:
            return None
        problem = "has another hash than was recorded apart: the trail was written anew"
        return _fault(place.sequence, FaultKind.REPLACED, problem)

    def _judge_origin(self, origin: Head) -> Fault | None:
        oldest = min(self._anchors, default=origin.sequence)
        if oldest < origin.sequence:
            problem = f"is no longer kept: the trail begins after {origin.sequence}"
            return _fault(oldest, FaultKind.MISSING, problem)
        return self._judge_anchor(origin)

    def _judge_end(self, newest: Head | None) -> Fault | None:
        last = 0 if self._last is None else self._last.sequence
        recorded = 0 if newest is None else newest.sequence
        if (known := max(self._anchors, default=0)) > last:
            problem = f"is missing: the trail is cut off, it went on to {known}"
            return _fault(last + 1, FaultKind.CUT_OFF, problem)
        if recorded < last:
            problem = f"was never recorded as written: the newest is {recorded}"
            return _fault(recorded + 1, FaultKind.UNRECORDED, problem)
        if newest is not None and self._last is not None and recorded == last:
            self._anchors[recorded].add(newest.hash)
            return self._judge_anchor(self._last)
        return None


def _fault(sequence: int, kind: FaultKind, problem: str) -> Fault:
    return Fault(sequence, kind, f"entry {sequence} {problem}")


def read_anchor(text: str) -> Head:
    """Read `sequence:hash`, as `Head` is printed.

    Raises:
        AuditError: it is no anchor.
    """
    sequence, _, hash_ = text.strip().partition(":")
    if not re.fullmatch("[1-9][0-9]{0,17}", sequence):
        raise AuditError("an anchor is SEQUENCE:HASH, and its sequence counts from 1")
    if not re.fullmatch("[0-9a-fA-F]{64}", hash_):
        raise AuditError("an anchor is SEQUENCE:HASH, and its hash has 64 hexadecimal digits")
    return Head(int(sequence), hash_.lower())
