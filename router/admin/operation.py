"""One operation of the API as a value: routes and the OpenAPI document are both made from it."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from router.admin.fields import Document, InHeader, Parameters
from router.admin.problems import ProblemType
from router.admin.reply import MEDIA_TYPE
from router.audit.entry import Actor
from router.config.models import Role
from router.controller.plane import ControlPlane

RANKS: Final = {role.value: rank for rank, role in enumerate(Role)}
"""Each role may do what the one before it may."""

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")

_ALWAYS: Final = (
    ProblemType.UNAUTHENTICATED,
    ProblemType.FORBIDDEN,
    ProblemType.FOREIGN,
    ProblemType.METHOD_NOT_ALLOWED,
    ProblemType.INVALID,  # a query parameter that it does not know
    ProblemType.TOO_MANY_FAILED_LOGINS,
    ProblemType.INTERNAL,
)
_WITH_BODY: Final = (
    ProblemType.MALFORMED,
    ProblemType.BODY_TOO_LARGE,
    ProblemType.UNSUPPORTED_MEDIA_TYPE,
)

ParametersT = TypeVar("ParametersT", bound=Parameters)
BodyT = TypeVar("BodyT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Generic[ParametersT, BodyT]):
    """A call as its handler gets it: known caller, checked content.

    `digest` stands for method, path, query and body together.
    """

    plane: ControlPlane
    actor: Actor
    parameters: ParametersT
    body: BodyT
    digest: str
    request: Request


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which an operation answers."""

    meaning: str
    models: tuple[type[BaseModel], ...] = ()
    headers: tuple[str, ...] = ()
    media_type: str = MEDIA_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A row of the table; `answers` are by status.

    `problems` are those of this operation alone: what follows from its shape is added.
    """

    name: str
    method: str
    path: str
    role: Role
    summary: str
    handle: Callable[[Any], Awaitable[Response]]
    answers: dict[int, Answer]
    parameters: type[Parameters] = Parameters
    body: type[Document] | None = None
    body_optional: bool = False
    problems: tuple[ProblemType, ...] = field(default=())

    @property
    def all_problems(self) -> list[ProblemType]:
        """Every problem that it can answer with, by status."""
        found = {*_ALWAYS, *self.problems}
        if self.body is not None:
            found |= {*_WITH_BODY}
        return [kind for kind in ProblemType if kind in found]

    def admits(self, role: str) -> bool:
        """Whether somebody in this role may call it."""
        return role in RANKS and RANKS[role] >= RANKS[self.role.value]

    def place_of(self, parameter: str) -> tuple[str, str]:
        """Where a parameter stands, and its name there: path, header or query."""
        info = self.parameters.model_fields[parameter]
        if parameter in _PLACEHOLDER.findall(self.path):
            return "path", parameter
        for mark in info.metadata:
            if isinstance(mark, InHeader):
                return "header", mark.name
        return "query", info.alias or parameter
