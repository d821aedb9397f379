"""The example files: each is right, and the full one shows every field that there is."""

from __future__ import annotations

import json
import types
import typing
from pathlib import Path

import pytest

from router.config import Config, check, compile_snapshot, files_of, json_schema, load
from router.config.fields import Section
from router.config.source import read_source

EXAMPLES = Path(__file__).parents[3] / "config"


@pytest.mark.parametrize("name", ["minimal", "canary", "shadow", "full"])
def test_an_example_loads_and_compiles(name: str) -> None:
    config = load(EXAMPLES / f"{name}.yaml")
    snapshot = compile_snapshot(config, generation=1)
    assert [route.name for route in snapshot.routes] == [route.name for route in config.routes]


def test_the_small_examples_have_nothing_to_warn_about() -> None:
    report = check([EXAMPLES / f"{name}.yaml" for name in ("minimal", "canary", "shadow")])
    assert report.ok
    assert [file.warnings for file in report.files] == [(), (), ()]


def test_the_full_example_only_lacks_files_that_are_mounted_elsewhere() -> None:
    report = check([EXAMPLES / "full.yaml"])
    assert report.ok
    warnings = [warning.message for warning in report.files[0].warnings]
    assert sum("does not exist here" in warning for warning in warnings) == 7
    assert len(warnings) == 10, warnings


def test_the_full_example_shows_every_field() -> None:
    shown = _keys(read_source(str(EXAMPLES / "full.yaml")).value)
    shown |= {"valueFile", "bySourceNeverShown"}  # the other half of "exactly one of"
    assert _fields(Config) - shown == set()


def test_the_files_to_watch_are_those_that_were_read() -> None:
    names = files_of(EXAMPLES / "full.yaml", load(EXAMPLES / "full.yaml"))
    assert [Path(name).relative_to(EXAMPLES).as_posix() for name in names] == [
        "full.yaml",
        "analysis/model-quality.yaml",
        "rollouts/embeddings.yaml",
    ]


def test_the_schema_describes_every_field_in_camel_case() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == {
        "server", "store", "auth", "routes", "analysisTemplates", "providers", "notifications",
    }  # fmt: skip
    assert json.loads(json.dumps(schema)) == schema
    for name, section in {"Config": schema, **schema["$defs"]}.items():
        for field, description in section.get("properties", {}).items():
            assert "_" not in field, (name, field)
            described = schema["$defs"].get(description.get("$ref", "")[8:], description)
            assert described.get("description"), (name, field)
        if "properties" in section and name not in {"Metadata", "TemplateSpec", "AnalysisTemplate"}:
            assert section["additionalProperties"] is False, name


def test_the_schema_knows_durations_and_sizes() -> None:
    definitions = json_schema()["$defs"]
    connect = definitions["Timeouts"]["properties"]["connect"]["anyOf"]
    body = definitions["Limits"]["properties"]["maxBodyBytes"]["anyOf"]
    assert [kind["type"] for kind in connect] == [kind["type"] for kind in body]
    assert "pattern" in connect[0]
    assert "pattern" in body[0]


def _keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(_keys(item) for item in value.values()))
    return set().union(*(_keys(item) for item in value)) if isinstance(value, list) else set()


def _fields(annotation: object) -> set[str]:
    """Every field's name in the file, of a section and of all inside it."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        found = {str(field.alias) for field in annotation.model_fields.values()}
        inner = [field.annotation for field in annotation.model_fields.values()]
        return found.union(*(_fields(item) for item in inner))
    if isinstance(annotation, types.GenericAlias) or typing.get_args(annotation):
        return set().union(*(_fields(item) for item in typing.get_args(annotation)))
    return set()
