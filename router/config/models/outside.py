"""Whom control asks and tells outside: gates, notifications, and where a Prometheus is.

Secrets (tokens, the URL of a Slack webhook) come from the environment or a file, never from here.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from router.config.fields import (
    HeaderName,
    LocalFile,
    Name,
    PositiveDuration,
    Section,
    Text,
    only_one,
)
from router.rollouts.spec import GateKind

_SCHEMES: Final = ("http://", "https://")


def _check_url(value: str) -> str:
    # The text is not shown: a Slack URL is a secret.
    if not value.startswith(_SCHEMES) or any(c <= " " for c in value):
        raise ValueError("must begin with http:// or https:// and have no space in it")
    return value


HttpUrl = Annotated[Text, AfterValidator(_check_url)]


class OutsideHeader(Section):
    """A header of a request to the outside: exactly one of value, env and file."""

    name: HeaderName
    """Its name."""
    value: str | None = Field(default=None, repr=False)
    """Its value, if it is no secret."""
    env: Text | None = None
    """Environment variable that holds it."""
    file: LocalFile | None = None
    """File that holds it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        only_one(self, "value", "env", "file")
        return self


class Gate(Section):
    """Somebody who is asked before a rollout goes on; a 2xx answer lets it."""

    type: GateKind
    """Before what: confirmRollout, confirmTrafficIncrease or confirmPromotion."""
    url: HttpUrl = Field(repr=False)
    """What is asked with POST; the body says which route, version and step."""
    headers: tuple[OutsideHeader, ...] = ()
    """Sent with it."""
    timeout_s: PositiveDuration = Field(default=10.0, alias="timeout")
    """How long an answer may take; none is a no."""
    interval_s: PositiveDuration = Field(default=10.0, alias="interval")
    """Time between two questions until it opens."""
    metadata: Mapping[str, str] = Field(default_factory=dict)
    """Sent in the body as it is."""


class NotificationFormat(StrEnum):
    """What a notification looks like."""

    JSON = "json"
    SLACK = "slack"


class Notification(Section):
    """Somebody who is told of every change of a rollout's phase."""

    name: Name
    """Its name in logs and metrics."""
    url: HttpUrl | None = Field(default=None, repr=False)
    """Where it goes with POST."""
    url_env: Text | None = None
    """Environment variable that holds the URL."""
    url_file: LocalFile | None = None
    """File that holds the URL."""
    format: NotificationFormat = NotificationFormat.JSON
    """json, or slack (a `text` that Slack, Mattermost and Discord's /slack understand)."""
    headers: tuple[OutsideHeader, ...] = ()
    """Sent with it."""
    timeout_s: PositiveDuration = Field(default=10.0, alias="timeout")
    """How long an answer may take."""
    routes: tuple[Name, ...] = ()
    """Only these routes; all without it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        only_one(self, "url", "url_env", "url_file")
        return self


class Prometheus(Section):
    """The server that Prometheus metrics ask if they name none."""

    address: HttpUrl = Field(repr=False)
    """Its base URL."""
    headers: tuple[OutsideHeader, ...] = ()
    """Sent with every query, like an Authorization."""


class Providers(Section):
    """Defaults for what analysis measures with."""

    prometheus: Prometheus | None = None
    """For templates whose Prometheus metrics name no address."""
