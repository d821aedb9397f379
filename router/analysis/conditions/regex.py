"""Match a text against an RE2 pattern in linear time.

Python's `re` backtracks: `(a+)+$` over thirty characters that come from a web answer would stop
the controller for minutes.  So this walks all ways through the pattern at once (Thompson 1968;
Cox, "Regular Expression Matching Can Be Simple And Fast", 2007): no pattern takes longer than
its size times the length of the text, and that is paid from the evaluation's step budget.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.regex_syntax import (
    Alternation,
    Anchor,
    Concatenation,
    Letter,
    Piece,
    Repetition,
    Test,
    is_word,
    parse_pattern,
)
from router.analysis.conditions.run import Run

MAX_STATES: Final = 4_000


@dataclass(slots=True)
class _State:
    """A place in the pattern: read a character, pass an anchor, or go on freely."""

    test: Test | None = None
    anchor: str = ""
    onward: tuple[int, ...] = ()


class Pattern:
    """A compiled pattern; its last state is the end."""

    def __init__(self, states: list[_State], start: int) -> None:
        self._states = states
        self._start = start

    def found_in(self, text: str, run: Run) -> bool:
        """Whether the pattern matches anywhere in the text."""
        here: set[int] = set()
        for position in range(len(text) + 1):
            here = self._spread(here | {self._start}, text, position)
            run.step(len(here))
            if 0 in here:
                return True
            if position < len(text):
                here = self._advanced(here, text[position])
        return False

    def _advanced(self, here: set[int], character: str) -> set[int]:
        reached: set[int] = set()
        for number in here:
            state = self._states[number]
            if state.test is not None and state.test(character):
                reached.update(state.onward)
        return reached

    def _spread(self, numbers: set[int], text: str, position: int) -> set[int]:
        """Go on from states as far as no character is needed."""
        seen: set[int] = set()
        waiting = list(numbers)
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            state = self._states[number]
            if state.test is None and (not state.anchor or _holds(state.anchor, text, position)):
                waiting.extend(state.onward)
        return seen


@lru_cache(maxsize=64)
def compile_pattern(pattern: str) -> Pattern:
    """Compile a pattern of RE2's syntax.

    Raises:
        ConditionError: RE2 does not know it, or it repeats too much.
    """
    builder = _Builder()
    start = builder.add(parse_pattern(pattern), onward=0)
    return Pattern(builder.states, start)


class _Builder:
    """Lays states from the end of the pattern to its start; state 0 is the end."""

    def __init__(self) -> None:
        self.states = [_State()]
        self._pieces = 0

    def add(self, piece: Piece, onward: int) -> int:
        """Lay a piece before the state `onward`; returns the state where it starts."""
        # Counted beside the states: `((()){1000}){1000}` lays none and would go on for hours.
        self._pieces += 1
        if self._pieces > 4 * MAX_STATES:
            raise ConditionError("error parsing regexp: expression repeats too much")
        match piece:
            case Letter(test):
                return self._lay(_State(test=test, onward=(onward,)))
            case Anchor(place):
                return self._lay(_State(anchor=place, onward=(onward,)))
            case Concatenation(parts):
                for part in reversed(parts):
                    onward = self.add(part, onward)
                return onward
            case Alternation(branches):
                starts = tuple(self.add(branch, onward) for branch in branches)
                return self._lay(_State(onward=starts))
            case Repetition(part, least, most):
                return self._repeat(part, least, most, onward)
        raise AssertionError(f"unreachable: {piece}")

    def _repeat(self, part: Piece, least: int, most: int | None, onward: int) -> int:
        if most is None:
            start = self._loop(part, onward)
        else:
            start = onward
            for _ in range(most - least):
                start = self._lay(_State(onward=(self.add(part, start), onward)))
        for _ in range(least):
            start = self.add(part, start)
        return start

    def _loop(self, part: Piece, onward: int) -> int:
        again = self._lay(_State())
        self.states[again].onward = (self.add(part, again), onward)
        return again

    def _lay(self, state: _State) -> int:
        if len(self.states) >= MAX_STATES:
            raise ConditionError("error parsing regexp: expression repeats too much")
        self.states.append(state)
        return len(self.states) - 1


def _holds(anchor: str, text: str, position: int) -> bool:
    at_start, at_end = position == 0, position == len(text)
    match anchor:
        case "A":
            return at_start
        case "z":
            return at_end
        case "^":
            return at_start or text[position - 1] == "\n"
        case "$":
            return at_end or text[position] == "\n"
    before = not at_start and is_word(text[position - 1])
    after = not at_end and is_word(text[position])
    return (before != after) == (anchor == "b")
