"""Arguments: who gives them a value, and how they fill a template."""

from __future__ import annotations

import pytest

from router.analysis.arguments import (
    Argument,
    ArgumentError,
    Values,
    evaluate,
    fill,
    flatten_arguments,
    merge_arguments,
    resolve,
    resolve_quoted,
    with_built_in,
)
from router.analysis.providers.base import Subject

SUBJECT = Subject(route="chat", canary="v2", stable="v1", started_s=0.0, now_s=0.0)
AWKWARD = 'double quotes"newline\nand tab\t'
SECRET = Argument("token", value_from={"secretKeyRef": {"name": "prom", "key": "token"}})


@pytest.mark.parametrize("place", ["{{args.x}}", "{{ args.x }}", "{{\targs.x  }}"])
def test_spaces_inside_a_place_do_not_matter(place: str) -> None:
    assert resolve(f"a-{place}-b", {"x": "1"}) == "a-1-b"


def test_a_text_without_places_stays_as_it_is() -> None:
    assert resolve("sum(rate(x{a='b'}[5m])) }}", {}) == "sum(rate(x{a='b'}[5m])) }}"


def test_a_value_is_taken_verbatim_or_escaped_for_json() -> None:
    assert resolve("test-{{args.x}}", {"x": AWKWARD}) == "test-" + AWKWARD
    escaped = 'test-double quotes\\"newline\\nand tab\\t'
    assert resolve_quoted("test-{{args.x}}", {"x": AWKWARD}) == escaped


def test_escapes_are_those_of_go() -> None:
    text = "\a\b\f\v\\\x01\x7f\x85\u200b\U000e0001é漢"
    assert resolve_quoted("{{args.x}}", {"x": text}) == (
        r"\a\b\f\v\\\x01\x7f\u0085\u200b\U000e0001é漢"
    )


@pytest.mark.parametrize("tag", ["args.y", "x", "inputs.x", "$labels.pod", ""])
def test_a_place_without_a_value_is_refused(tag: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        resolve("{{" + tag + "}}", {"x": "1"})
    assert str(refused.value) == "failed to resolve {{" + tag + "}}"


def test_an_open_place_is_refused() -> None:
    with pytest.raises(ArgumentError) as refused:
        resolve("test-{{args.var", {"var": "1"})
    assert str(refused.value) == (
        'Cannot find end tag="}}" in the template="test-{{args.var" starting from "args.var"'
    )


def test_a_value_is_not_filled_again() -> None:
    assert resolve("{{args.x}}", {"x": "{{args.y}}", "y": "2"}) == "{{args.y}}"


def test_every_text_of_a_document_is_filled_and_its_shape_stays() -> None:
    document = {"{{args.x}}": ["{{args.x}}", 1, None, True, {"deep": "a {{args.x}}"}]}
    filled = fill(document, {"x": AWKWARD})
    assert filled == {AWKWARD: [AWKWARD, 1, None, True, {"deep": "a " + AWKWARD}]}


def test_what_is_filled_shares_nothing_with_its_document() -> None:
    document = {"headers": [{"key": "a"}]}
    fill(document, {})["headers"][0]["key"] = "b"
    assert document == {"headers": [{"key": "a"}]}


def test_a_control_character_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(ArgumentError, match="control character"):
        fill({"query": "{{args.x}}"}, {"x": "ring\a"})


def test_given_values_go_before_defaults_and_undeclared_ones_are_dropped() -> None:
    declared = [Argument("a", "default"), Argument("b", "default"), Argument("c")]
    given = [Argument("b", "given"), Argument("c", "given"), Argument("extra", "given")]
    assert merge_arguments(given, declared) == (
        Argument("a", "default"),
        Argument("b", "given"),
        Argument("c", "given"),
    )


def test_a_given_argument_without_a_value_leaves_the_default() -> None:
    assert merge_arguments([Argument("a")], [Argument("a", "x")]) == (Argument("a", "x"),)


def test_a_required_argument_without_a_value_is_refused() -> None:
    with pytest.raises(ArgumentError) as refused:
        merge_arguments([], [Argument("service")])
    assert str(refused.value) == "args.service was not resolved"


def test_an_empty_value_is_a_value() -> None:
    assert merge_arguments([Argument("a", "")], [Argument("a")]) == (Argument("a", ""),)


def test_declarations_of_several_templates_are_joined() -> None:
    joined = flatten_arguments([[Argument("a"), Argument("b", "1")], [Argument("a", "2")]])
    assert joined == (Argument("a", "2"), Argument("b", "1"))
    assert flatten_arguments([[SECRET], [Argument("token")]]) == (SECRET,)


def test_two_different_defaults_are_refused() -> None:
    with pytest.raises(ArgumentError) as refused:
        flatten_arguments([[Argument("a", "1")], [Argument("a", "2")]])
    assert str(refused.value) == (
        "Argument `a` specified multiple times with different values: '1', '2'"
    )


def test_the_router_gives_what_it_knows_unless_somebody_else_says() -> None:
    declared = with_built_in([Argument("stable-version"), Argument("route", "other")], SUBJECT)
    merged = merge_arguments([Argument("canary-version", "v9")], declared)
    assert evaluate(merged, SUBJECT).texts == {
        "canary-version": "v9",
        "stable-version": "v1",
        "route": "other",
    }


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"podTemplateHashValue": "Latest"}, "v2"),
        ({"podTemplateHashValue": "Stable"}, "v1"),
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "chat"),
    ],
)
def test_argos_sources_mean_versions_and_the_route(source: dict[str, object], value: str) -> None:
    assert evaluate([Argument("a", value_from=source)], SUBJECT) == Values({"a": value})


@pytest.mark.parametrize(
    "source",
    [{}, {"fieldRef": {"fieldPath": "spec.replicas"}}, {"env": "A", "file": "b"}, {"vault": "x"}],
)
def test_a_source_that_is_not_known_is_refused(source: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match="otherwise give a value"):
        evaluate([Argument("a", value_from=source)], SUBJECT)


@pytest.mark.parametrize(
    "source", [{"env": "TOKEN"}, {"file": "/run/t"}, {"secretKeyRef": {"name": "a", "key": "b"}}]
)
def test_a_secret_has_a_source_and_keeps_its_place_in_records(source: dict[str, object]) -> None:
    values = evaluate([Argument("token", value_from=source)], SUBJECT)
    assert values == Values({}, {"token": source})
    assert fill({"value": "Bearer {{ args.token }}"}, values.recorded) == {
        "value": "Bearer {{args.token}}"
    }
