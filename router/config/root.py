"""The whole configuration, in which every field is right and nothing contradicts anything."""

from typing import Annotated, Any, Final, Self

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
from router.config.models.route import Route
from router.config.models.server import Auth, Server
from router.config.problems import Finding

_STORES: Final = ("sqlite://", "postgresql://")


def _read_template(value: Any, info: ValidationInfo) -> AnalysisTemplate | TemplateFile:
    if isinstance(value, (AnalysisTemplate, TemplateFile)):
        return value
    if isinstance(value, str) and value:
        return TemplateFile(absolute(value, info))
    return AnalysisTemplate.model_validate(value)


def _read_store(value: object) -> str:
    # The text is not shown: it may hold a password.
    if not isinstance(value, str) or not value.startswith(_STORES):
        raise ValueError(f"must begin with {' or '.join(_STORES)}")
    return str(value)


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
    WithJsonSchema({"type": "string", "pattern": "^(sqlite|postgresql)://"}),
]


class Config(Section):
    """The configuration of a router.

    However it is made, it has been checked as a whole: `model_validate` raises a ValidationError
    whose entries are what a person should read.
    """

    server: Server = Server()
    """Sockets, worker processes and their deadlines."""
    store: StoreUrl = Field(default="sqlite:///inference-router.db", repr=False)
    """Where state and audit trail live: `sqlite:///file` or `postgresql://…`."""
    auth: Auth = Auth()
    """Who may use the admin port."""
    routes: tuple[Route, ...] = ()
    """The public entries."""
    analysis_templates: tuple[TemplateEntry, ...] = ()
    """Argo AnalysisTemplates: files of them, or written right here."""

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
