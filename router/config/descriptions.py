"""What fields mean: the strings that stand below them, read when a schema is made.

Pydantic reads them itself with `use_attribute_docstrings`, while a module is imported: 0.15 s of
each start of control, and of the supervisor, for what only a schema shows.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


def describe(model: type[BaseModel]) -> dict[str, str]:
    """The descriptions of a model's fields by name, its bases' included."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, BaseModel) and each is not BaseModel:
            found |= _own(each)
    return found


@cache
def _own(model: type[BaseModel]) -> dict[str, str]:
    # Without the file (a zipped or frozen program) there are no descriptions, and all else works.
    try:
        source = inspect.getsource(model)
    except OSError:
        return {}
    (definition,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(definition, ast.ClassDef)
    return dict(_described(definition.body))


def _described(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)
