"""Cut a condition into tokens.

The lexical rules are those of expr-lang/expr v1.17 (docs/language-definition.md and the behaviour
of its lexer): `//` and `/* */` comments, three kinds of quotes, `_` between digits.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from router.analysis.conditions.errors import ConditionError


class TokenKind(StrEnum):
    """What a token is, in the words of Argo's messages."""

    NAME = "Identifier"
    NUMBER = "Number"
    TEXT = "String"
    OPERATOR = "Operator"
    BRACKET = "Bracket"
    END = "EOF"


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a condition; `column` counts from 1."""

    kind: TokenKind
    text: str
    column: int

    def is_operator(self, *texts: str) -> bool:
        """Whether this is one of these operators."""
        return self.kind is TokenKind.OPERATOR and self.text in texts

    def is_bracket(self, text: str) -> bool:
        """Whether this is that bracket."""
        return self.kind is TokenKind.BRACKET and self.text == text

    def __str__(self) -> str:
        return "EOF" if self.kind is TokenKind.END else f'{self.kind}("{self.text}")'


WORD_OPERATORS: Final = frozenset(
    ["not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"]
)

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
      |(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?)
  | (?P<name>[^\W\d]\w*|\$\w*)
  | (?P<quoted>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<raw>`[^`]*`)
  | (?P<operator>\?\.|\?\?|\|\||::|&&|==|!=|<=|>=|\*\*|\.\.|[-+*/%^<>!=?:|\#.,;])
  | (?P<bracket>[()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)

_ESCAPE: Final = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|(.))", re.DOTALL
)
_PLAIN_ESCAPES: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip


def tokens(text: str) -> Iterator[Token]:
    """Cut a condition; the last token is always `END`.

    Raises:
        ConditionError: a character that begins no token, or a literal that does not end.
    """
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _unreadable(text, position)
        if found.lastgroup != "space":
            yield _token(found)
        position = found.end()
    yield Token(TokenKind.END, "", len(text) + 1)


def _token(found: re.Match[str]) -> Token:
    text, column = found.group(), found.start() + 1
    match found.lastgroup:
        case "number":
            _refuse_tail(found)
            return Token(TokenKind.NUMBER, text, column)
        case "name":
            kind = TokenKind.OPERATOR if text in WORD_OPERATORS else TokenKind.NAME
            return Token(kind, text, column)
        case "quoted":
            return Token(TokenKind.TEXT, _unescaped(text[1:-1], column), column)
        case "raw":
            return Token(TokenKind.TEXT, text[1:-1], column)
        case "bracket":
            return Token(TokenKind.BRACKET, text, column)
    return Token(TokenKind.OPERATOR, text, column)


def _refuse_tail(number: re.Match[str]) -> None:
    """A number ends where no letter or digit follows: `1a` and `0b12` are no numbers."""
    tail = number.string[number.end() : number.end() + 1]
    if tail.isalnum() or tail in ("_", "$"):
        word = number.group() + tail
        raise ConditionError(f'bad number syntax: "{word}"', number.start() + 1)


def _unescaped(text: str, column: int) -> str:
    def plain(found: re.Match[str]) -> str:
        for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
            if found.group(group):
                return _character(int(found.group(group), base), column)
        letter = found.group(5)
        if letter not in _PLAIN_ESCAPES:
            raise ConditionError("invalid char escape", column)
        return _PLAIN_ESCAPES[letter]

    return _ESCAPE.sub(plain, text)


def _character(code: int, column: int) -> str:
    # Surrogates are no characters: they could never be sent or logged as UTF-8.
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ConditionError("invalid char escape", column)
    return chr(code)


def _unreadable(text: str, position: int) -> ConditionError:
    character, column = text[position], position + 1
    if character in "\"'`":
        return ConditionError("literal not terminated", column)
    return ConditionError(f"unrecognized character: U+{ord(character):04X}", column)
