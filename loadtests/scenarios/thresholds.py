"""The limits of a run: read from YAML, refused whole if anything in it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import yaml

from loadtests.scenarios.errors import LoadTestError
from loadtests.scenarios.profiles import PROFILES

DEFAULT_FILE: Final = Path(__file__).with_name("thresholds.yaml")

Limit = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds; what is left out is not judged."""

    p95: Limit | None = None
    p99: Limit | None = None


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a run must keep to; thresholds.yaml says what each of them means."""

    error_ratio: Limit
    server_errors: Count
    cut_requests: Count
    load_ratio: Limit
    failed_changes: Count
    least_changes: Count
    moved_conversations: Count
    unweighted_answers: Count
    share_sigmas: Limit
    ended_processes: Count
    memory_percent: Limit
    memory_warm_up_seconds: Limit
    latency: dict[str, Latency]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    all: dict[str, Any]
    profiles: dict[str, dict[str, Any]] = {}


def load_thresholds(file: Path, profile: str) -> Thresholds:
    """Those of one profile; the others are checked as well.

    Raises:
        LoadTestError: the file cannot be read or a value in it makes no sense.
    """
    try:
        document = msgspec.convert(yaml.safe_load(file.read_text()), _File)
        if unknown := sorted(set(document.profiles) - set(PROFILES)):
            known = ", ".join(PROFILES)
            raise LoadTestError(f"{file}: no profile is called {unknown[0]}; there are {known}")
        found = {name: _merged(document, name) for name in PROFILES}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise LoadTestError(f"{file}: {' '.join(str(error).split())}") from None
    return found[profile]


def _merged(document: _File, profile: str) -> Thresholds:
    values = {**document.all, **document.profiles.get(profile, {})}
    try:
        return msgspec.convert(values, Thresholds)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"for profile {profile}: {error}") from None
