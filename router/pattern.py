"""Regular expressions of the configuration, matched in linear time by RE2.

Python's `re` backtracks: `(a+)+b` over a header of thirty letters stops a worker for minutes, and
the one who sends the header chooses the letters.  So whatever pattern a configuration holds is
compiled here, and never by `re` (docs/adr/0008-linear-regex.md).

Promises:
  * the time of a match grows with pattern and text, each taken once, whatever either holds;
  * a pattern takes `MAX_MEMORY_BYTES` at most, and one that would take more is refused;
  * what RE2 does not have is refused with what to write instead, never read as something else;
  * nobody who has no pattern pays for RE2: it is imported with the first (4 ms and 2 MB).
"""

import re
from functools import lru_cache
from typing import Any, Final

MAX_MEMORY_BYTES: Final = 1024 * 1024
"""Of one compiled pattern.  When the states of a match do not fit, RE2 goes on without them: slower
(13 ns for each byte and instruction instead of 1 to 3 ns a byte), and still in linear time."""

MAX_INSTRUCTIONS: Final = 2_000
"""Of a pattern that meets the network's bytes: at the worst 8 KiB take 0.2 s."""

_MAX_COMPILED: Final = 256
_MAX_QUOTED: Final = 60

# `a{,2}` is up to two in Python and five plain characters in RE2.  What is escaped or stands in
# brackets is skipped.
_OPEN_COUNT: Final = re.compile(
    r"(?s:\\.)|\[\^?+\]?+(?s:\\.|[^\]\\])*+\]|(?P<found>\{,[0-9]++\})", re.ASCII
)

_REMEDIES: Final = (
    ("(?=", "there is no look-ahead: write what must match as a pattern of its own"),
    ("(?!", "there is no look-ahead: write what may match instead of what may not"),
    ("(?<", "there is no look-behind: match from the beginning"),
    ("(?P", "there are no references back to a group"),
    ("(?(", "there are no references back to a group"),
    ("(?>", "write (?:…): nothing backtracks here"),
    ("(?#", "there are no comments in a pattern"),
    ("\\Z", "write \\z"),
    ("\\u", "write the character itself, or \\x{…}"),
    ("\\U", "write the character itself, or \\x{…}"),
    ("\\N", "write the character itself, or \\x{…}"),
)  # fmt: skip


class PatternError(ValueError):
    """A pattern that cannot be used; its words say why, and what to write instead if known."""


class Pattern:
    """A compiled pattern; asked whether it matches, never where."""

    __slots__ = ("_compiled", "instructions")

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.instructions: Final[int] = compiled.programsize
        """The size that the time of a match grows with."""

    def matches_whole(self, text: bytes) -> bool:
        """Whether the whole text is such a text."""
        return self._compiled.fullmatch(text) is not None

    def found_in(self, text: bytes) -> bool:
        """Whether it matches anywhere in the text."""
        return self._compiled.search(text) is not None


@lru_cache(maxsize=_MAX_COMPILED)
def bytes_pattern(pattern: str) -> Pattern:
    """Compile a pattern that is matched with what the network brings, byte by byte.

    A character beyond ASCII is the bytes of its UTF-8, and no byte is too strange for `.`.

    Raises:
        PatternError: RE2 does not have it, or it is too large.
    """
    found = next((each for each in _OPEN_COUNT.finditer(pattern) if each["found"]), None)
    if found is not None:
        raise PatternError(f"{found['found']}: write {{0{found['found'][1:]}")
    compiled = _compile(pattern, "LATIN1")
    if compiled.instructions > MAX_INSTRUCTIONS:
        raise PatternError(
            f"it repeats too much: {compiled.instructions} instructions, and {MAX_INSTRUCTIONS} "
            "are allowed"
        )
    return compiled


@lru_cache(maxsize=_MAX_COMPILED)
def text_pattern(pattern: str) -> Pattern:
    """Compile a pattern that is matched with characters, given as UTF-8.

    Raises:
        PatternError: RE2 does not have it, or it is too large.
    """
    return _compile(pattern, "UTF8")


def utf8(text: str) -> bytes:
    """A text for a `text_pattern`; halves of characters, which JSON can hold, become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _compile(pattern: str, encoding: str) -> Pattern:
    import re2  # type: ignore[import-untyped]  # has no stubs

    options = re2.Options()
    options.max_mem = MAX_MEMORY_BYTES
    options.encoding = getattr(re2.Options.Encoding, encoding)
    options.never_capture = True  # nobody asks where a group was, and finding out costs
    options.log_errors = False  # the log is ours
    try:
        return Pattern(re2.compile(utf8(pattern), options))
    except re2.error as error:
        raise PatternError(_words(error.args[0], encoding)) from None


def _words(error: bytes, encoding: str) -> str:
    words = error.decode(errors="replace")
    if encoding == "LATIN1":  # it took each byte of the pattern for a character
        words = words.encode("latin-1", "replace").decode(errors="replace")
    kind, _, part = words.partition(": ")
    shown = f"{kind}: {part[:_MAX_QUOTED]}" if part else kind
    remedy = _remedy(kind, part)
    return f"{shown}; {remedy}" if remedy else shown


def _remedy(kind: str, part: str) -> str:
    if kind in ("invalid perl operator", "invalid escape sequence"):
        for beginning, remedy in _REMEDIES:
            if part.startswith(beginning):
                return remedy
    if kind == "invalid perl operator":
        return "of flags there are i, m, s and U"
    if kind == "bad repetition operator" and part.endswith("+"):
        return f"write {part[:-1]}: nothing backtracks here"
    if kind == "invalid repetition size":
        return "1000 times at most, in all that repeat each other"
    if kind == "invalid escape sequence" and part[1:2].isdigit():
        return "there are no references back to a group"
    if kind.startswith("pattern too large"):
        return "repeat less"
    return ""
