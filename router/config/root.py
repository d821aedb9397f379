"""The whole configuration, in which every field is right and nothing contradicts anything."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from router.config.contradictions import find_contradictions
from router.config.fields import Section, Text, absolute
from router.config.messages import findings
from router.config.models.analysis import AnalysisTemplate, TemplateFile
from router.config.models.outside import Notification, Providers
from router.config.models.route import Route
from router.config.models.server import Auth, Server
from router.config.problems import Finding


def _read_template(value: Any, info: ValidationInfo) -> AnalysisTemplate | TemplateFile:
    if isinstance(value, (AnalysisTemplate, TemplateFile)):
        return value
    if isinstance(value, str) and value:
        return TemplateFile(absolute(value, info))
    return AnalysisTemplate.model_validate(value)


def _read_store(value: object, info: ValidationInfo) -> str:
    # The text is not shown: it may hold a password.
    if value == "memory:":
        return "memory:"
    if isinstance(value, str) and value.startswith(("sqlite:///", "postgresql://")):
        return value
    if isinstance(value, str) and value.startswith("sqlite:") and value[7:8] not in ("", "/"):
        return f"sqlite://{Path(absolute(value[7:], info)).absolute()}"
    raise ValueError(
        "must be sqlite:FILE (beside this file), sqlite:///ABSOLUTE/FILE, postgresql://… or memory:"
    )


TemplateEntry = Annotated[
    AnalysisTemplate | TemplateFile,
    PlainValidator(_read_template, json_schema_input_type=Text | AnalysisTemplate),
    PlainSerializer(
        lambda entry: entry.path if isinstance(entry, TemplateFile) else entry.document,
        when_used="json",
    ),
]
StoreUrl = Annotated[
    str,
    PlainValidator(_read_store),
    WithJsonSchema({"type": "string", "pattern": "^(sqlite:|postgresql://|memory:$)"}),
]


class Config(Section):
    """The configuration of a router.

    However it is made, it has been checked as a whole: `model_validate` raises a ValidationError
    whose entries are what a person should read.
    """

    server: Server = Server()
    """Sockets, worker processes and their deadlines."""
    store: StoreUrl = Field(default="sqlite:inference-router.db", validate_default=True, repr=False)
    """Where state and audit trail live: `sqlite:FILE` beside this file, `sqlite:///ABSOLUTE/FILE`,
    `memory:` for nothing that outlives the process."""
    auth: Auth = Auth()
    """Who may use the admin port."""
    routes: tuple[Route, ...] = ()
    """The public entries."""
    analysis_templates: tuple[TemplateEntry, ...] = ()
    """Argo AnalysisTemplates: files of them, or written right here."""
    providers: Providers = Providers()
    """Defaults for what analysis measures with."""
    notifications: tuple[Notification, ...] = ()
    """Who is told of every change of a rollout's phase."""

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, document: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        config: Self | None = None
        wrong: list[Finding] = []
        try:
            config = handler(document)
        except ValidationError as error:
            wrong += findings(cls, error)
        if isinstance(document, dict):
            wrong += find_contradictions(document)
        if config is None or wrong:
            raise ValidationError.from_exception_data("Config", [_details(item) for item in wrong])
        return config

    @property
    def templates(self) -> dict[str, AnalysisTemplate]:
        """Every analysis template by its name."""
        return {template.name: template for template in self._each_template()}

    def _each_template(self) -> list[AnalysisTemplate]:
        found: list[AnalysisTemplate] = []
        for entry in self.analysis_templates:
            found += (entry.templates or ()) if isinstance(entry, TemplateFile) else (entry,)
        return found


def _details(finding: Finding) -> InitErrorDetails:
    return InitErrorDetails(
        type=PydanticCustomError("config", "{message}", {"message": finding.message}),
        loc=finding.path,
        input=None,  # never the value: it may be a secret
    )
