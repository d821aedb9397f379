"""Parse a regular expression of RE2's syntax to a tree.

The syntax is that of Go's package regexp/syntax, so no lookaround and no backreferences; its
scripts (`\\p{Greek}`) are not known here, its general categories (`\\pL`, `\\p{Lu}`) are.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from unicodedata import category

from router.analysis.conditions.errors import ConditionError

MAX_PATTERN: Final = 1_000
MAX_REPEAT: Final = 1_000
MAX_GROUPS_DEEP: Final = 40

Test = Callable[[str], bool]
"""Whether a character may stand here."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a pattern."""


@dataclass(frozen=True, slots=True)
class Letter(Piece):
    """One character that passes a test."""

    test: Test


@dataclass(frozen=True, slots=True)
class Anchor(Piece):
    """A place: `A` start of text, `z` end, `^` and `$` of a line, `b` and `B` at words."""

    place: str


@dataclass(frozen=True, slots=True)
class Concatenation(Piece):
    """One after the other; nothing at all when empty."""

    parts: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Alternation(Piece):
    """One of them."""

    branches: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Repetition(Piece):
    """From `least` to `most` times, without end if `most` is None.

    Whether it is greedy does not matter: only whether the text matches is asked.
    """

    part: Piece
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool = False  # i
    lines: bool = False  # m
    dot_all: bool = False  # s


_DIGITS: Final = frozenset(string.digits)
_WORDS: Final = frozenset(string.ascii_letters + string.digits + "_")
_SPACES: Final = frozenset("\t\n\f\r ")
_PERL: Final = {"d": _DIGITS, "w": _WORDS, "s": _SPACES}
_POSIX: Final = {
    "alnum": frozenset(string.ascii_letters + string.digits),
    "alpha": frozenset(string.ascii_letters),
    "ascii": frozenset(map(chr, range(128))),
    "blank": frozenset("\t "),
    "cntrl": frozenset(map(chr, [*range(32), 127])),
    "digit": _DIGITS,
    "graph": frozenset(map(chr, range(33, 127))),
    "lower": frozenset(string.ascii_lowercase),
    "print": frozenset(map(chr, range(32, 127))),
    "punct": frozenset(string.punctuation),
    "space": _SPACES | {"\v"},
    "upper": frozenset(string.ascii_uppercase),
    "word": _WORDS,
    "xdigit": frozenset(string.hexdigits),
}
_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CATEGORIES: Final = frozenset(
    major + minor
    for major, minors in {
        "L": "ultmo", "M": "nce", "N": "dlo", "P": "cdseifo", "S": "mcko", "Z": "slp", "C": "cfo",
    }.items()
    for minor in ("", *minors)
)  # fmt: skip


def is_word(character: str) -> bool:
    """Whether `\\w` takes it."""
    return character in _WORDS


def parse_pattern(pattern: str) -> Piece:
    """Parse a whole pattern.

    Raises:
        ConditionError: it is too long, or RE2 does not know it.
    """
    if len(pattern) > MAX_PATTERN:
        raise ConditionError(
            f"error parsing regexp: {len(pattern)} characters; {MAX_PATTERN} are allowed"
        )
    return _Parser(pattern).parse()


def _refused(what: str, part: str) -> ConditionError:
    return ConditionError(f"error parsing regexp: {what}: `{part}`")


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0
        self._groups = 0
        self._flags = _Flags()

    def parse(self) -> Piece:
        piece = self._alternation()
        if self._place < len(self._pattern):
            raise _refused("unexpected )", self._pattern)
        return piece

    def _peek(self, text: str) -> bool:
        return self._pattern.startswith(text, self._place)

    def _accept(self, text: str) -> bool:
        if not self._peek(text):
            return False
        self._place += len(text)
        return True

    def _take(self, missing: str) -> str:
        if self._place >= len(self._pattern):
            raise _refused(missing, self._pattern)
        self._place += 1
        return self._pattern[self._place - 1]

    def _until(self, end: str, missing: str) -> str:
        stop = self._pattern.find(end, self._place)
        if stop < 0:
            raise _refused(missing, self._pattern)
        text = self._pattern[self._place : stop]
        self._place = stop + len(end)
        return text

    # Alternatives, sequences, repetitions.

    def _alternation(self) -> Piece:
        branches = [self._concatenation()]
        while self._accept("|"):
            branches.append(self._concatenation())
        return branches[0] if len(branches) == 1 else Alternation(tuple(branches))

    def _concatenation(self) -> Piece:
        parts: list[Piece] = []
        while self._place < len(self._pattern) and not (self._peek("|") or self._peek(")")):
            if self._accept("\\Q"):
                parts.extend(map(self._same, self._quoted()))
            else:
                parts.append(self._repeated(self._atom()))
        return Concatenation(tuple(parts))

    def _quoted(self) -> str:
        stop = self._pattern.find("\\E", self._place)
        stop = len(self._pattern) if stop < 0 else stop
        text, self._place = self._pattern[self._place : stop], min(stop + 2, len(self._pattern))
        return text

    def _repeated(self, piece: Piece) -> Piece:
        start = self._place
        counts = self._counts()
        if counts is None:
            return piece
        self._accept("?")  # a lazy repetition matches the same texts
        if self._counts() is not None:
            part = self._pattern[start : self._place]
            raise _refused("invalid nested repetition operator", part)
        return Repetition(piece, *counts)

    def _counts(self) -> tuple[int, int | None] | None:
        for sign, least, most in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._accept(sign):
                return least, most
        return self._braces() if self._peek("{") else None

    def _braces(self) -> tuple[int, int | None] | None:
        """Read `{2}`, `{2,}` or `{2,5}`; braces that hold anything else are plain characters."""
        stop = self._pattern.find("}", self._place)
        low, comma, high = self._pattern[self._place + 1 : max(stop, 0)].partition(",")
        if stop < 0 or not _is_count(low) or (high and not _is_count(high)):
            return None
        least = int(low)
        most = int(high) if high else (None if comma else least)
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            raise _refused("invalid repeat count", self._pattern[self._place : stop + 1])
        self._place = stop + 1
        return least, most

    # Atoms.

    def _atom(self) -> Piece:
        character = self._take("missing argument")
        match character:
            case "(":
                return self._group()
            case "[":
                return Letter(self._class())
            case ".":
                return Letter(_anything if self._flags.dot_all else _no_newline)
            case "^":
                return Anchor("^" if self._flags.lines else "A")
            case "$":
                return Anchor("$" if self._flags.lines else "z")
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise _refused("missing argument to repetition operator", character)
        return self._same(character)

    def _same(self, character: str) -> Letter:
        return Letter(self._folded(character.__eq__))

    def _folded(self, test: Test) -> Test:
        if not self._flags.fold:
            return test
        return lambda c: any(test(case) for case in (c, c.lower(), c.upper()) if len(case) == 1)

    def _group(self) -> Piece:
        self._groups += 1
        if self._groups > MAX_GROUPS_DEEP:
            raise _refused("expression nests too deeply", self._pattern)
        outside = self._flags
        if not self._opened():  # `(?i)`: the flags hold to the end of the group around
            self._groups -= 1
            return Concatenation(())
        piece = self._alternation()
        if not self._accept(")"):
            raise _refused("missing closing )", self._pattern)
        self._groups -= 1
        self._flags = outside
        return piece

    def _opened(self) -> bool:
        """Read what follows a `(`; false if nothing is grouped."""
        start = self._place - 1
        if not self._accept("?"):
            return True
        if self._accept("P<") or (
            self._peek("<") and not self._peek("<=") and not self._peek("<!")
        ):
            self._accept("<")
            name = self._until(">", "invalid named capture")
            if not name or not all(map(is_word, name)):
                raise _refused("invalid named capture", f"(?P<{name}>")
            return True
        return self._flagged(start)

    def _flagged(self, start: int) -> bool:
        value = True
        while True:
            character = self._take("missing closing )")
            match character:
                case "i":
                    self._flags = replace(self._flags, fold=value)
                case "m":
                    self._flags = replace(self._flags, lines=value)
                case "s":
                    self._flags = replace(self._flags, dot_all=value)
                case "U":
                    pass  # swaps greedy and lazy, which match the same texts
                case "-" if value:
                    value = False
                case ":" | ")":
                    return character == ":"
                case _:
                    part = self._pattern[start : self._place]
                    raise _refused("invalid or unsupported Perl syntax", part)

    def _escape(self) -> Piece:
        character = self._take("trailing backslash at end of expression")
        if character in ("A", "z", "b", "B"):
            return Anchor(character)
        test = self._escaped_class(character)
        return Letter(test) if test is not None else self._same(self._escaped(character))

    # Classes.

    def _escaped_class(self, character: str) -> Test | None:
        if character.lower() in _PERL:
            members = _PERL[character.lower()]
            return _negated(character.isupper(), self._folded(members.__contains__))
        if character not in ("p", "P"):
            return None
        name = self._take("invalid character class range")
        if name == "{":
            name = self._until("}", "invalid character class range")
        negative = (character == "P") != name.startswith("^")
        return _negated(negative, _general_category(name.removeprefix("^")))

    def _escaped(self, character: str) -> str:
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character == "x":
            return self._hexadecimal()
        if character in "01234567":
            return self._octal(character)
        if character.isascii() and not character.isalnum():
            return character
        raise _refused("invalid escape sequence", f"\\{character}")

    def _octal(self, first: str) -> str:
        digits = first
        while len(digits) < 3 and self._pattern[self._place : self._place + 1] in tuple("01234567"):
            digits += self._take("")
        if first != "0" and len(digits) == 1:
            raise _refused("invalid escape sequence", f"\\{first}")  # a backreference
        return chr(int(digits, 8))

    def _hexadecimal(self) -> str:
        if self._accept("{"):
            digits = self._until("}", "invalid escape sequence")
        else:
            digits = self._pattern[self._place : self._place + 2]
            self._place += len(digits)
        fits = digits and set(digits) <= set(string.hexdigits) and len(digits) <= 8
        if not fits or int(digits, 16) > 0x10FFFF:
            raise _refused("invalid escape sequence", f"\\x{digits}")
        return chr(int(digits, 16))

    def _class(self) -> Test:
        start = self._place - 1
        negative = self._accept("^")
        tests: list[Test] = []
        while not tests or not self._peek("]"):
            tests.append(self._class_item(start))
        self._accept("]")
        return _negated(negative, self._folded(lambda c: any(test(c) for test in tests)))

    def _class_item(self, start: int) -> Test:
        if self._accept("[:"):
            return _posix(self._until(":]", "invalid character class range"))
        first = self._place
        low = self._class_character(start)
        if not isinstance(low, str):
            return low
        ranged = self._peek("-") and not self._peek("-]")
        if not ranged:
            return low.__eq__
        self._accept("-")
        high = self._class_character(start)
        if not isinstance(high, str) or high < low:
            part = self._pattern[first : self._place]
            raise _refused("invalid character class range", part)
        return lambda c: low <= c <= high

    def _class_character(self, start: int) -> str | Test:
        if self._place >= len(self._pattern):
            raise _refused("missing closing ]", self._pattern[start:])
        character = self._take("missing closing ]")
        if character != "\\":
            return character
        escaped = self._take("trailing backslash at end of expression")
        return self._escaped_class(escaped) or self._escaped(escaped)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _anything(_character: str) -> bool:
    return True


def _no_newline(character: str) -> bool:
    return character != "\n"


def _negated(negative: bool, test: Test) -> Test:
    return (lambda c: not test(c)) if negative else test


def _general_category(name: str) -> Test:
    if name not in _CATEGORIES:
        raise _refused("invalid character class range", f"\\p{{{name}}}")
    return lambda c: category(c).startswith(name)


def _posix(name: str) -> Test:
    members = _POSIX.get(name.removeprefix("^"))
    if members is None:
        raise _refused("invalid character class range", f"[:{name}:]")
    return _negated(name.startswith("^"), members.__contains__)
