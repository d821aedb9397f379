"""Parse the tokens of a condition to a tree: precedence climbing over one table.

The grammar is that of expr-lang/expr v1.17 (docs/language-definition.md; precedences as observed).
Bounded: `MAX_LENGTH` characters, `MAX_NESTING` expressions open at a time (a bracket opens two),
`MAX_DEPTH` levels of the tree, so neither this parser nor what walks the tree can exhaust Python's
stack.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from router.analysis.conditions import nodes
from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.tokens import WORD_OPERATORS, Token, TokenKind, tokens

MAX_LENGTH: Final = 4_096
MAX_NESTING: Final = 80
MAX_DEPTH: Final = 100

_PIPE: Final = 0
_BINARY: Final = {
    "|": _PIPE,
    "or": 10, "||": 10, "and": 15, "&&": 15,
    "==": 20, "!=": 20, "<": 20, ">": 20, ">=": 20, "<=": 20,
    "in": 20, "matches": 20, "contains": 20, "startsWith": 20, "endsWith": 20,
    "..": 25, "+": 30, "-": 30, "*": 60, "/": 60, "%": 60,
    "**": 100, "^": 100, "??": 500,
}  # fmt: skip
_UNARY: Final = {"not": 50, "!": 50, "-": 90, "+": 90}
_RIGHT_ASSOCIATIVE: Final = ("**", "^")
_CHAINED: Final = ("<", ">", "<=", ">=")
_NEGATED: Final = ("in", "matches", "contains", "startsWith", "endsWith")

_EXPRESSION: Final = "expression"
_PREDICATE: Final = "predicate"
_OPTIONAL: Final = "optional "
PREDICATE_FUNCTIONS: Final = {
    **dict.fromkeys(
        ("all", "none", "any", "one", "filter", "map", "find", "findIndex", "findLast",
         "findLastIndex", "groupBy"),
        (_EXPRESSION, _PREDICATE),
    ),
    "count": (_EXPRESSION, _OPTIONAL + _PREDICATE),
    "sum": (_EXPRESSION, _OPTIONAL + _PREDICATE),
    "sortBy": (_EXPRESSION, _PREDICATE, _OPTIONAL + _EXPRESSION),
    "reduce": (_EXPRESSION, _PREDICATE, _OPTIONAL + _EXPRESSION),
}  # fmt: skip
"""The arguments of the functions that evaluate a predicate for each element."""


def parse_tree(text: str) -> nodes.Node:
    """Parse a whole condition.

    Raises:
        ConditionError: it is too long or too deep, or it does not follow the grammar.
    """
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"condition has {len(text)} characters; {MAX_LENGTH} are allowed")
    root = _Parser(text).parse()
    if nodes.depth(root) > MAX_DEPTH:
        raise ConditionError(f"condition nests deeper than {MAX_DEPTH} levels; split it up")
    return root


class _Parser:
    """Holds the place in the tokens; each method reads one form and leaves the place behind it."""

    def __init__(self, text: str) -> None:
        self._tokens = list(tokens(text))
        self._place = 0
        self._nesting = 0
        self._predicates = 0

    def parse(self) -> nodes.Node:
        root = self._sequence()
        if self._now.kind is not TokenKind.END:
            raise self._unexpected()
        return root

    # The place in the tokens.

    @property
    def _now(self) -> Token:
        return self._tokens[self._place]

    @property
    def _next(self) -> Token:
        return self._tokens[min(self._place + 1, len(self._tokens) - 1)]

    def _advance(self) -> Token:
        token = self._now
        self._place = min(self._place + 1, len(self._tokens) - 1)
        return token

    def _expect_operator(self, text: str) -> Token:
        if not self._now.is_operator(text):
            raise self._unexpected()
        return self._advance()

    def _expect_bracket(self, text: str) -> Token:
        if not self._now.is_bracket(text):
            raise self._unexpected()
        return self._advance()

    def _expect_name(self) -> Token:
        if self._now.kind is not TokenKind.NAME:
            raise self._unexpected()
        return self._advance()

    def _unexpected(self) -> ConditionError:
        return ConditionError(f"unexpected token {self._now}", self._now.column)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise ConditionError("condition nests too deep; split it up", self._now.column)
        yield
        self._nesting -= 1

    # Expressions.

    def _sequence(self) -> nodes.Node:
        parts = [self._expression()]
        while self._now.is_operator(";"):
            self._advance()
            if self._now.kind is TokenKind.END:
                break
            parts.append(self._expression())
        return parts[0] if len(parts) == 1 else nodes.Sequence(parts[0].column, tuple(parts))

    def _expression(self) -> nodes.Node:
        """Read an expression of any precedence: `let`, `if`, `?:` and `|` live only here."""
        with self._opened():
            if self._now.is_operator("let"):
                return self._let()
            if self._now.is_operator("if"):
                return self._if()
            return self._conditional(self._operators(_PIPE))

    def _let(self) -> nodes.Node:
        self._advance()
        name = self._expect_name()
        self._expect_operator("=")
        value = self._expression()
        self._expect_operator(";")
        return nodes.Let(name.column, name.text, value, self._sequence())

    def _if(self) -> nodes.Node:
        column = self._advance().column
        test = self._expression()
        yes = self._block()
        self._expect_operator("else")
        no = self._expression() if self._now.is_operator("if") else self._block()
        return nodes.Conditional(column, test, yes, no)

    def _block(self) -> nodes.Node:
        self._expect_bracket("{")
        body = self._sequence()
        self._expect_bracket("}")
        return body

    def _conditional(self, test: nodes.Node) -> nodes.Node:
        while self._now.is_operator("?"):
            column = self._advance().column
            if self._now.is_operator(":"):
                self._advance()
                yes = test  # `a ?: b`
            else:
                yes = self._expression()
                self._expect_operator(":")
            test = nodes.Conditional(column, test, yes, self._expression())
        return test

    def _operators(self, lowest: int) -> nodes.Node:
        """Read operands and the operators of this precedence and above between them."""
        with self._opened():
            return self._climb(self._operand(), lowest)

    def _climb(self, left: nodes.Node, lowest: int) -> nodes.Node:
        previous = ""
        while self._now.kind is TokenKind.OPERATOR:
            negated = self._now.is_operator("not")
            token = self._next if negated else self._now
            if negated and token.text not in _NEGATED:
                self._advance()
                raise self._unexpected()
            if _BINARY.get(token.text, -1) < lowest:
                break
            if negated:
                self._advance()
            if previous == "??" and token.text not in ("??", "|"):
                raise ConditionError(
                    f"Operator ({token.text}) and coalesce expressions (??) cannot be mixed. "
                    "Wrap either by parentheses.",
                    token.column,
                )
            left = self._apply(left, negated=negated)
            previous = token.text
        return left

    def _apply(self, left: nodes.Node, *, negated: bool) -> nodes.Node:
        token = self._advance()
        if token.text == "|":
            return self._call(self._expect_name(), (left,))
        if token.text in _CHAINED:
            return self._comparison(left, token)
        binding = _BINARY[token.text] + (token.text not in _RIGHT_ASSOCIATIVE)
        node = nodes.Binary(token.column, token.text, left, self._operators(binding))
        return nodes.Unary(token.column, "not", node) if negated else node

    def _comparison(self, left: nodes.Node, token: Token) -> nodes.Node:
        """Read `a < b < c`, which means `a < b && b < c`."""
        whole: nodes.Node | None = None
        while True:
            right = self._operators(_BINARY[token.text] + 1)
            link = nodes.Binary(token.column, token.text, left, right)
            whole = link if whole is None else nodes.Binary(token.column, "&&", whole, link)
            if not self._now.is_operator(*_CHAINED):
                return whole
            left, token = right, self._advance()

    def _operand(self) -> nodes.Node:
        token = self._now
        if token.is_operator(*_UNARY):
            return self._unary()
        if token.is_bracket("("):
            self._advance()
            inner = self._sequence()
            self._expect_bracket(")")
            return self._postfix(inner)
        if self._predicates and token.is_operator("#", "."):
            return self._postfix(self._pointer())
        if token.is_operator("::"):
            self._advance()
            return self._postfix(self._call(self._expect_name(), ()))
        return self._simple()

    def _unary(self) -> nodes.Node:
        token = self._advance()
        operand = self._operators(_UNARY[token.text])
        return self._postfix(nodes.Unary(token.column, token.text, operand))

    def _pointer(self) -> nodes.Node:
        token = self._now
        if token.text == ".":
            return nodes.Pointer(token.column, "")  # `.field` is `#.field`: the dot is read again
        self._advance()
        glued = self._now.column == token.column + 1
        if glued and self._now.kind is TokenKind.NAME:
            return nodes.Pointer(token.column, self._advance().text)
        return nodes.Pointer(token.column, "")

    def _simple(self) -> nodes.Node:
        token = self._now
        match token.kind:
            case TokenKind.NUMBER:
                # Nothing may be taken out of a number or a constant: `1[0]` is a mistake.
                self._advance()
                return nodes.Literal(token.column, _number(token))
            case TokenKind.TEXT:
                self._advance()
                return self._postfix(nodes.Literal(token.column, token.text))
            case TokenKind.NAME:
                return self._name()
        if token.is_bracket("["):
            return self._postfix(self._list())
        if token.is_bracket("{"):
            return self._postfix(self._map())
        raise self._unexpected()

    def _name(self) -> nodes.Node:
        token = self._advance()
        constants: dict[str, bool | None] = {"true": True, "false": False, "nil": None}
        if token.text in constants:
            return nodes.Literal(token.column, constants[token.text])
        if self._now.is_bracket("("):
            return self._postfix(self._call(token, ()))
        return self._postfix(nodes.Name(token.column, token.text))

    # What stands behind an operand.

    def _postfix(self, node: nodes.Node) -> nodes.Node:
        while True:
            if self._now.is_operator(".", "?."):
                node = self._dot(node)
            elif self._now.is_bracket("["):
                node = self._index(node, optional=False)
            else:
                return node

    def _dot(self, base: nodes.Node) -> nodes.Node:
        optional = self._advance().text == "?."
        if optional and self._now.is_bracket("["):
            return self._index(base, optional=True)
        word = self._advance()
        if word.kind is not TokenKind.NAME and word.text not in WORD_OPERATORS:
            raise ConditionError("expected name", word.column)
        if self._now.is_bracket("("):
            raise ConditionError(
                f"{word.text} cannot be called: values have no methods here", word.column
            )
        chained = isinstance(base, nodes.Chain)
        inner = base.link if isinstance(base, nodes.Chain) else base
        member = nodes.Member(word.column, inner, nodes.Literal(word.column, word.text), optional)
        return nodes.Chain(word.column, member) if chained or optional else member

    def _index(self, base: nodes.Node, *, optional: bool) -> nodes.Node:
        column = self._expect_bracket("[").column
        start = None if self._now.is_operator(":") else self._expression()
        if self._now.is_operator(":"):
            self._advance()
            stop = None if self._now.is_bracket("]") else self._expression()
            self._expect_bracket("]")
            return nodes.Slice(column, base, start, stop)
        self._expect_bracket("]")
        assert start is not None  # without it there was a colon
        member = nodes.Member(column, base, start, optional)
        return nodes.Chain(column, member) if optional else member

    # Calls and literals.

    def _call(self, name: Token, piped: tuple[nodes.Node, ...]) -> nodes.Node:
        self._expect_bracket("(")
        shape = PREDICATE_FUNCTIONS.get(name.text)
        if shape is None:
            arguments = piped + self._items(")", self._expression)
        else:
            arguments = piped + self._shaped(shape[len(piped) :])
        return nodes.Call(name.column, name.text, arguments)

    def _shaped(self, shape: tuple[str, ...]) -> tuple[nodes.Node, ...]:
        """Read the arguments of a function that takes a predicate."""
        arguments: list[nodes.Node] = []
        for form in shape:
            if self._now.is_bracket(")"):
                if form.startswith(_OPTIONAL):
                    break
                raise ConditionError(f"expected at least {len(shape)} arguments", self._now.column)
            if arguments:
                self._expect_operator(",")
            is_predicate = form.endswith(_PREDICATE)
            arguments.append(self._predicate() if is_predicate else self._expression())
        if self._now.is_operator(","):
            self._advance()
        self._expect_bracket(")")
        return tuple(arguments)

    def _predicate(self) -> nodes.Node:
        column = self._now.column
        self._predicates += 1
        body = self._block() if self._now.is_bracket("{") else self._expression()
        self._predicates -= 1
        return nodes.Predicate(column, body)

    def _items(self, close: str, item: Callable[[], nodes.Node]) -> tuple[nodes.Node, ...]:
        """Read `a, b, c` up to a bracket; one comma too many is allowed at the end."""
        items: list[nodes.Node] = []
        while not self._now.is_bracket(close):
            if items:
                self._expect_operator(",")
                if self._now.is_bracket(close):
                    break
            items.append(item())
        self._advance()
        return tuple(items)

    def _list(self) -> nodes.Node:
        column = self._advance().column
        return nodes.ListLiteral(column, self._items("]", self._expression))

    def _map(self) -> nodes.Node:
        column = self._advance().column
        values: list[nodes.Node] = []

        def pair() -> nodes.Node:
            key = self._map_key()
            self._expect_operator(":")
            values.append(self._expression())
            return key

        keys = self._items("}", pair)
        return nodes.MapLiteral(column, keys, tuple(values))

    def _map_key(self) -> nodes.Node:
        token = self._now
        if token.kind in (TokenKind.NUMBER, TokenKind.TEXT, TokenKind.NAME):
            self._advance()
            return nodes.Literal(token.column, token.text)
        if token.is_bracket("("):
            return self._expression()
        raise ConditionError(
            "a map key must be a quoted string, a number, a identifier, or an expression "
            f"enclosed in parentheses (unexpected token {token})",
            token.column,
        )


_BASES: Final = {"0x": 16, "0o": 8, "0b": 2}
_MAX_INT: Final = 2**63 - 1


def _number(token: Token) -> int | float:
    text = token.text.replace("_", "").lower()
    base = _BASES.get(text[:2], 10)
    try:
        if base == 10 and ("." in text or "e" in text):
            return _finite(float(text), token)
        number = int(text, base)
    except ValueError:
        raise ConditionError(f'bad number syntax: "{token.text}"', token.column) from None
    if number > _MAX_INT:
        raise ConditionError(f"integer literal {token.text} is too large", token.column)
    return number


def _finite(number: float, token: Token) -> float:
    if number == float("inf"):
        raise ConditionError(f"float literal {token.text} is too large", token.column)
    return number
