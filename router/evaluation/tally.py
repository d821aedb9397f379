"""The sums of one stable version and one shadow.

Guarantees (each is a test in tests/unit/evaluation/test_evaluation_tally.py):
  * a tally is bounded, however many pairs it has counted;
  * written as JSON and read back it goes on as if nothing had happened;
  * a pair is judged by what was seen before it, never by itself.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from router.comparison import Comparison, Field, Judgement, Verdict, judge
from router.evaluation.counts import Counts
from router.evaluation.noise import TELLING, is_noisy
from router.evaluation.reservoir import Reservoir
from router.statistics import pairs_needed

MAX_ERRORS: Final = 32
"""Different errors that are counted apart."""
MAX_ERROR: Final = 80
"""Characters of an error."""
MORE_ERRORS: Final = "more"
"""Where the errors beyond `MAX_ERRORS` are counted."""
_SERVER_ERROR: Final = "5"
"""How the status of a server's failure begins (RFC 9110 §15.6)."""
_FIRST_LOOK: Final = pairs_needed(0.0, TELLING)
"""With fewer twins nothing is called noise."""
_GROWTH: Final = 1.25
"""A look costs a millisecond, so the next one waits for a quarter more twins."""


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """One pair: what differs, and how much later the others answered than the primary.

    A difference in time is None unless both have answered.
    """

    comparison: Comparison
    twin: Comparison | None = None
    latency_s: float | None = None
    first_token_s: float | None = None
    twin_latency_s: float | None = None


class Tokens(msgspec.Struct, kw_only=True):
    """Completion tokens of the pairs in which both sides have told theirs."""

    pairs: int = 0
    primary: int = 0
    shadow: int = 0

    def add(self, tokens: tuple[int | None, int | None]) -> None:
        """Count a pair's tokens."""
        primary, shadow = tokens
        if primary is not None and shadow is not None:
            self.pairs += 1
            self.primary += primary
            self.shadow += shadow


class Tally(msgspec.Struct, kw_only=True):
    """What was seen since `since_s`; survives as JSON.

    A shadow has failed if it did not answer, or with a server error that the primary did not have
    (that pair is compared besides).  `any` counts pairs in which any field differs.  A field is
    counted where at least one of the answers has it.  `twins_failed` of the `twins_asked` had no
    answer to compare.  `noisy` are the fields whose differences were noise at the last look;
    `next_look` says at how many twins the next one is due.
    """

    stable: str
    shadow: str
    since_s: float
    pairs: int = 0
    compared: int = 0
    primary_failed: int = 0
    shadow_failed: int = 0
    twins_asked: int = 0
    twins_failed: int = 0
    errors: dict[str, int] = {}
    verdicts: dict[Verdict, int] = {}
    any: Counts = msgspec.field(default_factory=Counts)
    fields: dict[Field, Counts] = {}
    latency: Reservoir = msgspec.field(default_factory=Reservoir)
    twin_latency: Reservoir = msgspec.field(default_factory=Reservoir)
    first_token: Reservoir = msgspec.field(default_factory=Reservoir)
    tokens: Tokens = msgspec.field(default_factory=Tokens)
    noisy: frozenset[Field] = frozenset()
    next_look: int = _FIRST_LOOK

    def add(self, observed: Observed, draw: Callable[[], float]) -> Judgement:
        """Judge a pair by what was seen before it, and count it; `draw` is in [0, 1)."""
        comparison, twin = observed.comparison, observed.twin
        judgement = judge(comparison, twin, self.noisy)
        self.pairs += 1
        self.verdicts[judgement.verdict] = self.verdicts.get(judgement.verdict, 0) + 1
        if twin is not None:
            self.twins_asked += 1
            self.twins_failed += bool(twin.error)
        if comparison.error:
            self._count_failure(comparison.error)
        else:
            self._compare(comparison, twin if twin is not None and not twin.error else None)
        self.latency.add(observed.latency_s, draw)
        self.twin_latency.add(observed.twin_latency_s, draw)
        self.first_token.add(observed.first_token_s, draw)
        return judgement

    def _count_failure(self, error: str) -> None:
        # Errors begin with the side: `primary: timeout`, `other: error (reset)`.
        side, _, why = error.partition(":")
        if side == "primary":
            self.primary_failed += 1
            self._count_error(error)
        else:
            self.shadow_failed += 1
            self._count_error(f"shadow:{why}")

    def _count_error(self, why: str) -> None:
        why = why[:MAX_ERROR]
        if why not in self.errors and len(self.errors) >= MAX_ERRORS:
            why = MORE_ERRORS
        self.errors[why] = self.errors.get(why, 0) + 1

    def _compare(self, comparison: Comparison, twin: Comparison | None) -> None:
        self.compared += 1
        self.tokens.add(comparison.tokens)
        if status := _server_error(comparison):
            self.shadow_failed += 1
            self._count_error(f"shadow: status {status}")
        shadow = {each.field: not each.same for each in comparison.fields}
        second = {} if twin is None else {each.field: not each.same for each in twin.fields}
        self.any.add(True in shadow.values(), None if twin is None else True in second.values())
        for field in shadow | second:
            if (shadow_differs := _differs(shadow, field)) is not None:
                twin_differs = None if twin is None else _differs(second, field)
                self.fields.setdefault(field, Counts()).add(shadow_differs, twin_differs)
        if self.any.twins >= self.next_look:
            self._look()

    def _look(self) -> None:
        self.noisy = frozenset(f for f, counts in self.fields.items() if is_noisy(counts))
        self.next_look = int(self.any.twins * _GROWTH) + 1


def _server_error(comparison: Comparison) -> str:
    # The shadow's, where the primary has none.
    for each in comparison.fields:
        if each.field is Field.STATUS and not each.same and each.other.startswith(_SERVER_ERROR):
            return "" if each.primary.startswith(_SERVER_ERROR) else each.other
    return ""


def _differs(differing: Mapping[Field, bool], field: Field) -> bool | None:
    # Where the statuses differ the rest of the answers may not have been compared: what is not
    # there is unknown.  Otherwise neither answer has the field, which is the same in both.
    return differing.get(field, None if differing.get(Field.STATUS) else False)
