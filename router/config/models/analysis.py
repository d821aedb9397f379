"""References to analysis templates, and the templates as documents.

Their metrics are read by `router.analysis`; here only their shape is: a name and some metrics.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from router.config.fields import Document, PositiveDuration, Section, Text
from router.config.source import resolve


class OnDeadline(StrEnum):
    """What becomes of a rollout whose analysis has not come to a verdict in time."""

    PAUSE = "pause"
    ABORT = "abort"
    PROMOTE = "promote"


class TemplateRef(Section):
    """The name of an analysis template."""

    template_name: Text
    """`metadata.name` of a template in `analysisTemplates`."""
    cluster_scope: bool = False
    """Argo's mark of a ClusterAnalysisTemplate; both kinds share one set of names here."""


class Argument(Section):
    """A value for a template's argument."""

    name: Text
    """The argument's name."""
    value: str | None = None
    """Its value, as text."""
    value_from: Document | None = None
    """Where its value comes from, as in Argo Rollouts."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError("takes value or valueFrom, not both")
        return self


class DryRun(Section):
    """Metrics that are measured and shown but never decide."""

    metric_name: Text
    """A regular expression of metric names."""


class MeasurementRetention(Section):
    """How many measurements of some metrics are kept."""

    metric_name: Text
    """A regular expression of metric names."""
    limit: int = Field(ge=1, le=10_000)
    """How many of the last measurements."""


class AnalysisRef(Section):
    """An analysis: templates, and values for their arguments."""

    templates: tuple[TemplateRef, ...] = Field(min_length=1)
    """Which templates; their metrics are measured together."""
    args: tuple[Argument, ...] = ()
    """Arguments; `route`, `canary-version` and `stable-version` are given without being named."""
    dry_run: tuple[DryRun, ...] = ()
    """Metrics that never decide."""
    measurement_retention: tuple[MeasurementRetention, ...] = ()
    """How many measurements are kept."""


class InlineAnalysis(AnalysisRef):
    """An analysis that a rollout waits for."""

    deadline_s: PositiveDuration | None = Field(default=None, alias="deadline")
    """How long to wait for a verdict, also while there is no data."""
    on_deadline: OnDeadline | None = None
    """What to do then: pause (the default), abort or promote; the template's own without it."""


class BackgroundAnalysis(AnalysisRef):
    """An analysis that runs beside the steps."""

    starting_step: int = Field(default=0, ge=0)
    """Index of the step with which it starts."""


class Metadata(Section):
    """Kubernetes metadata, of which only the name means something here."""

    model_config = ConfigDict(extra="ignore")

    name: Text
    """The name by which strategies refer to the template."""


class TemplateSpec(Section):
    """A template's inside, kept as it is."""

    model_config = ConfigDict(extra="allow")

    metrics: tuple[Document, ...] = ()
    """What is measured."""
    templates: tuple[TemplateRef, ...] = ()
    """Templates whose metrics are added to these."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.metrics and not self.templates:
            raise ValueError("needs metrics, or templates that have some")
        for index, metric in enumerate(self.metrics):
            if not isinstance(metric.get("name"), str):
                raise ValueError(f"metrics[{index}] has no name")
            if not isinstance(metric.get("provider"), Mapping):
                raise ValueError(f"metrics[{index}] ({metric['name']}) has no provider")
        return self


class AnalysisTemplate(Section):
    """An Argo AnalysisTemplate or ClusterAnalysisTemplate, or one of ours in the same shape."""

    model_config = ConfigDict(extra="ignore")

    api_version: str = "argoproj.io/v1alpha1"
    """Argo's, or left out: then our rules hold where Argo's leave a hole."""
    kind: Literal["AnalysisTemplate", "ClusterAnalysisTemplate"] = "AnalysisTemplate"
    """Both kinds mean the same here."""
    metadata: Metadata
    """Its name."""
    spec: Annotated[TemplateSpec, BeforeValidator(resolve)]
    """Its metrics and arguments."""

    @property
    def name(self) -> str:
        """The name by which strategies refer to it."""
        return self.metadata.name

    @property
    def document(self) -> dict[str, Any]:
        """The template as the plain mapping that `router.analysis` reads.

        With an apiVersion only if one was written: whose rules it follows depends on that.
        """
        written = "api_version" in self.model_fields_set
        return {
            **({"apiVersion": self.api_version} if written else {}),
            "kind": self.kind,
            "metadata": {"name": self.name},
            "spec": self.spec.model_dump(by_alias=True, exclude_unset=True),
        }


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A file of templates; `templates` is None until `router.config.load` has read it."""

    path: str
    templates: tuple[AnalysisTemplate, ...] | None = None
