"""What a route's configuration says of comparing, hiding and keeping.  Pure.

A person or a step may name a shadow where the configuration has no `shadow` section: then its
defaults hold.
"""

from hashlib import blake2b
from typing import Final

import msgspec

from router.comparison import Rules
from router.comparison.json_paths import parse
from router.config.models import Route
from router.config.models.shadow import Compare, Credentials, Prompts, Record, Redact
from router.controller.shadow.redaction import Redaction
from router.snapshot import FULL
from router.store.pairs import Retention

_SALT: Final = b"recorded match"
"""Else the pairs that are kept would be those that some other sampling by id has chosen."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the pairs of a route are treated; `match_bp` of the matches are recorded."""

    rules: Rules
    redaction: Redaction
    match_bp: int

    def keeps_match(self, request_id: str) -> bool:
        """Whether a pair without a difference is recorded: the same for one id, always."""
        digest = blake2b(request_id.encode(), digest_size=8, key=_SALT).digest()
        return int.from_bytes(digest) % FULL < self.match_bp


def settings_of(route: Route) -> Settings:
    """A route's settings."""
    shadow = route.shadow
    compare = shadow.compare if shadow is not None else Compare()
    redact = shadow.redact if shadow is not None else Redact()
    credentials = shadow.credentials if shadow is not None else Credentials()
    return Settings(
        rules=Rules(
            text_ratio=compare.text_ratio,
            numeric_tolerance=compare.numeric_tolerance,
            cosine=compare.cosine,
            ignore_paths=compare.ignore_paths,
        ),
        redaction=Redaction(
            paths=tuple(parse(path) for path in redact.paths),
            headers=frozenset((*redact.headers, credentials.header)),
            digest_prompts=redact.prompts is Prompts.DIGEST,
        ),
        match_bp=_record(route).match_percent,
    )


def retention_of(route: Route) -> Retention:
    """What is kept of a route's recorded pairs."""
    record = _record(route)
    return Retention(
        max_pairs=record.max_pairs, max_age_s=record.max_age_s, max_bytes=record.max_bytes
    )


def _record(route: Route) -> Record:
    return route.shadow.record if route.shadow is not None else Record()
