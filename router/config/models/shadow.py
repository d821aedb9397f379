"""The shadow: a version that sees copies of real requests, and what is kept of its answers."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from router.config.fields import (
    HeaderName,
    JsonPath,
    LocalFile,
    Name,
    PositiveDuration,
    Section,
    Share,
    Size,
    Text,
)
from router.config.models.match import MatchRule
from router.snapshot import CredentialMode, SampleBy


class OnCancel(StrEnum):
    """What becomes of the copy when the client goes away."""

    CANCEL = "cancel"
    KEEP = "keep"


class Prompts(StrEnum):
    """What is kept of request texts."""

    KEEP = "keep"
    DIGEST = "digest"


class Credentials(Section):
    """Which credentials the copy carries to the shadow's servers."""

    mode: CredentialMode = CredentialMode.KEEP
    """keep the client's, strip them, or replace them."""
    header: HeaderName = "authorization"
    """The header that carries them."""
    value_env: Text | None = None
    """Environment variable with the value to put there."""
    value_file: LocalFile | None = None
    """File with the value to put there."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        sources = [source for source in (self.value_env, self.value_file) if source is not None]
        if self.mode is CredentialMode.REPLACE and len(sources) != 1:
            raise ValueError("mode replace needs exactly one of valueEnv, valueFile")
        if self.mode is not CredentialMode.REPLACE and sources:
            raise ValueError("valueEnv and valueFile only mean something with mode: replace")
        return self


class Noise(Section):
    """How much the stable version differs from itself."""

    percent: Share = 0
    """Share of the copied requests that stable answers a second time."""


class Compare(Section):
    """When two answers count as the same."""

    text_ratio: float = Field(default=1.0, ge=0, le=1)
    """How alike two texts must be, 0 to 1; 1 is the same text after normalising white space."""
    numeric_tolerance: float = Field(default=0.0, ge=0)
    """How far two numbers of a JSON answer or a tensor may differ, relative to the primary's."""
    cosine: float = Field(default=0.999, ge=-1, le=1)
    """How alike two embeddings must be."""
    ignore_paths: tuple[JsonPath, ...] = ()
    """Parts of a JSON answer that may differ, like `$.id`."""


class Redact(Section):
    """What is removed before anything is written down."""

    paths: tuple[JsonPath, ...] = ()
    """Parts of JSON bodies."""
    headers: tuple[HeaderName, ...] = ("authorization", "cookie", "set-cookie", "x-api-key")
    """Headers."""
    prompts: Prompts = Prompts.KEEP
    """keep requests' texts, or only their digest."""


class Record(Section):
    """How many compared pairs are kept."""

    match_percent: Share = 100
    """Share of the pairs without a difference that is kept; those with one all are."""
    max_pairs: int = Field(default=10_000, ge=0)
    """At most so many."""
    max_age_s: PositiveDuration = Field(default=7 * 86_400.0, alias="maxAge")
    """At most so old."""
    max_bytes: Size = 256 * 1024 * 1024
    """At most so large together."""


class Shadow(Section):
    """A version that gets copies of requests and whose answers no client sees.

    A rollout's `setShadow` steps and `shadow set` obey the limits of this section too.
    """

    version: Name | None = None
    """Which one; it has no other traffic.  Without it the section only gives limits to others."""
    percent: Share = 10_000
    """Share of the matching requests that is copied, in steps of 0.01."""
    sample_by: SampleBy = SampleBy.REQUEST
    """Choose single requests, or whole conversations by their sticky key."""
    match: tuple[MatchRule, ...] = ()
    """Copy only requests that one of these rules matches."""
    include_stateful: bool = False
    """Also copy calls that store something or run tools."""
    max_concurrency: int = Field(default=32, ge=1)
    """Copies at the same time, in each worker."""
    max_queue: int = Field(default=256, ge=0)
    """Copies that wait; what comes after them is dropped and counted."""
    max_body_bytes: Size = 8 * 1024 * 1024
    """Longer requests are not copied."""
    max_response_bytes: Size = 8 * 1024 * 1024
    """Longer answers are not read to their end."""
    max_per_hour: int | None = Field(default=None, ge=1)
    """At most so many copies in an hour, in each worker."""
    max_pairs_per_second: float = Field(default=100.0, gt=0)
    """So many copies a second are compared, in each worker; the others are sent and counted."""
    timeout_s: PositiveDuration = Field(default=120.0, alias="timeout")
    """How long a copy may take in all."""
    on_cancel: OnCancel = OnCancel.CANCEL
    """Whether the copy ends with its primary when the client goes away."""
    credentials: Credentials = Credentials()
    """Which credentials the copy carries."""
    noise: Noise = Noise()
    """How much the stable version differs from itself."""
    compare: Compare = Compare()
    """When two answers count as the same."""
    redact: Redact = Redact()
    """What is removed before anything is written down."""
    record: Record = Record()
    """How many compared pairs are kept."""
