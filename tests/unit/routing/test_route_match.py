"""Which route answers: the five rules of precedence, one after the other."""

from __future__ import annotations

import pytest

from router.http1.request import parse_request
from router.routing.match import RouteIndex, header_test, match_route, model_in_path, needs_model
from router.snapshot import (
    FULL,
    Endpoint,
    HeaderCondition,
    HeaderMatch,
    Role,
    Route,
    Rule,
    Version,
)

VERSIONS = (
    Version(
        name="v1",
        role=Role.STABLE,
        weight_bp=FULL,
        endpoints=(Endpoint(url="http://a:1", host="a", port=1),),
    ),
)


class Fields:
    """Header fields by lower-case name."""

    def __init__(self, **fields: bytes) -> None:
        self._fields = {name.replace("_", "-").encode(): value for name, value in fields.items()}

    def field(self, name: bytes) -> bytes | None:
        return self._fields.get(name)


NONE = Fields()


def index(**rules: Rule | tuple[Rule, ...]) -> RouteIndex:
    """A table whose routes have these rules, in this order."""
    return RouteIndex(
        [
            Route(
                name=name,
                order=order,
                rules=rule if isinstance(rule, tuple) else (rule,),
                versions=VERSIONS,
            )
            for order, (name, rule) in enumerate(rules.items())
        ]
    )


def find(
    table: RouteIndex,
    path: bytes = b"/v1/x",
    *,
    method: bytes = b"POST",
    fields: Fields = NONE,
    model: str | None = None,
) -> str | None:
    return match_route(table.nodes(path), method, fields, model)


def has(name: str, value: str = "", match: HeaderMatch = HeaderMatch.EXACT) -> HeaderCondition:
    return HeaderCondition(name=name, match=match, value=value)


# -- 1: path -----------------------------------------------------------------------------------


def test_an_exact_path_comes_before_every_prefix() -> None:
    table = index(
        all=Rule(),
        long=Rule(path_prefix="/v1/x", model="m", methods=("POST",), headers=(has("a", "1"),)),
        exact=Rule(path="/v1/x"),
    )
    assert find(table, model="m", fields=Fields(a=b"1")) == "exact"


def test_a_longer_prefix_comes_before_a_shorter_one() -> None:
    table = index(
        root=Rule(path_prefix="/"), short=Rule(path_prefix="/v1"), long=Rule(path_prefix="/v1/x")
    )
    assert find(table, b"/v1/x/y") == "long"
    assert find(table, b"/v1/y") == "short"
    assert find(table, b"/v2") == "root"


def test_a_longer_prefix_comes_before_a_shorter_one_that_names_the_model() -> None:
    table = index(
        short=Rule(path_prefix="/v1", model="m", methods=("POST",)), long=Rule(path_prefix="/v1/x")
    )
    assert find(table, model="m") == "long"


def test_a_prefix_comes_before_a_rule_without_a_path() -> None:
    table = index(none=Rule(model="m"), prefix=Rule(path_prefix="/v1"))
    assert find(table, model="m") == "prefix"
    assert find(table, b"/v2", model="m") == "none"


def test_even_the_shortest_prefix_comes_before_a_rule_without_a_path() -> None:
    assert find(index(none=Rule(), root=Rule(path_prefix="/"))) == "root"
    assert find(index(none=Rule(model="m"), root=Rule(path_prefix="/")), model="m") == "root"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/v1", True),
        (b"/v1/", True),
        (b"/v1/x", True),
        (b"/v1//x", True),
        (b"/v1/x/y/z", True),
        (b"/v1x", False),
        (b"/v1.", False),
        (b"/v", False),
        (b"/", False),
        (b"/V1", False),
        (b"/x/v1", False),
        (b"//v1", False),
        (b"/v1%2fx", False),
        (b"*", False),
    ],
)
@pytest.mark.parametrize("prefix", ["/v1", "/v1/"])
def test_a_prefix_matches_whole_segments(prefix: str, path: bytes, found: bool) -> None:
    assert find(index(r=Rule(path_prefix=prefix)), path) == ("r" if found else None)


@pytest.mark.parametrize("path", [b"/v1/x/", b"/v1/", b"/v1/x/y", b"/v1/X", b"/v1/%78", b"/v1//x"])
def test_an_exact_path_matches_no_other_spelling(path: bytes) -> None:
    assert find(index(r=Rule(path="/v1/x")), path) is None


@pytest.mark.parametrize("path", [b"/", b"/a", b"//", b"/a/b/", b"/" * 2_000])
def test_the_root_prefix_and_no_path_match_every_path(path: bytes) -> None:
    assert find(index(r=Rule(path_prefix="/")), path) == "r"
    assert find(index(r=Rule()), path) == "r"


def test_a_rule_without_a_path_matches_the_asterisk() -> None:
    assert find(index(r=Rule()), b"*", method=b"OPTIONS") == "r"


# -- 2: model ----------------------------------------------------------------------------------


def test_a_rule_that_names_the_model_comes_before_one_that_does_not() -> None:
    table = index(
        any=Rule(path="/v1/x", methods=("POST",), headers=(has("a", "1"),)),
        named=Rule(path="/v1/x", model="m"),
    )
    assert find(table, model="m", fields=Fields(a=b"1")) == "named"
    assert find(table, model="other", fields=Fields(a=b"1")) == "any"
    assert find(table, model=None, fields=Fields(a=b"1")) == "any"


def test_a_rule_that_names_a_model_matches_no_other_and_none() -> None:
    table = index(r=Rule(path="/v1/x", model="m"))
    assert find(table, model="m") == "r"
    assert [find(table, model=model) for model in ("M", "m ", "", None)] == [None] * 4


def test_an_unknown_model_falls_through_from_the_exact_path_to_a_prefix() -> None:
    table = index(
        exact=Rule(path="/v1/x", model="a"),
        prefix=Rule(path_prefix="/v1", model="b"),
        rest=Rule(),
    )
    assert [find(table, model=model) for model in ("a", "b", "c", None)] == [
        "exact",
        "prefix",
        "rest",
        "rest",
    ]


def test_the_model_is_needed_only_where_a_rule_of_the_path_names_one() -> None:
    table = index(
        a=Rule(path="/v1/x", model="m"), b=Rule(path_prefix="/v2"), c=Rule(path_prefix="/v2/y")
    )
    assert needs_model(table.nodes(b"/v1/x"))
    assert not needs_model(table.nodes(b"/v2/y"))
    assert not needs_model(table.nodes(b"/v3"))
    assert needs_model(index(b=Rule(path="/v1/x"), a=Rule(model="m")).nodes(b"/v1/x"))


def test_the_public_models_of_a_table_stand_in_order_and_once() -> None:
    table = index(
        a=(Rule(path="/x", model="m2"), Rule(path="/y", model="m1")),
        b=Rule(model="m2"),
        c=Rule(path="/z"),
    )
    assert tuple(table.models) == ("m2", "m1")


# -- 3: methods --------------------------------------------------------------------------------


def test_a_rule_that_names_methods_comes_before_one_that_does_not() -> None:
    table = index(
        any=Rule(path="/v1/x", headers=(has("a", "1"), has("b", "1"))),
        post=Rule(path="/v1/x", methods=("PUT", "POST")),
    )
    fields = Fields(a=b"1", b=b"1")
    assert find(table, fields=fields) == "post"
    assert find(table, fields=fields, method=b"PUT") == "post"
    assert find(table, fields=fields, method=b"GET") == "any"


def test_a_rule_that_names_methods_matches_no_other() -> None:
    table = index(r=Rule(path="/v1/x", methods=("POST",)))
    assert [find(table, method=method) for method in (b"GET", b"post", b"POSTS", b"POST")] == [
        None,
        None,
        None,
        "r",
    ]


# -- 4: header conditions ----------------------------------------------------------------------


def test_more_header_conditions_come_before_fewer() -> None:
    table = index(
        none=Rule(path="/v1/x"),
        one=Rule(path="/v1/x", headers=(has("a", "1"),)),
        two=Rule(path="/v1/x", headers=(has("a", "1"), has("b", "1"))),
    )
    assert find(table, fields=Fields(a=b"1", b=b"1")) == "two"
    assert find(table, fields=Fields(a=b"1", b=b"2")) == "one"
    assert find(table, fields=Fields(b=b"1")) == "none"


def test_methods_count_more_than_header_conditions() -> None:
    table = index(
        headers=Rule(path="/v1/x", headers=(has("a", "1"), has("b", "1"))),
        method=Rule(path="/v1/x", methods=("POST",)),
    )
    assert find(table, fields=Fields(a=b"1", b=b"1")) == "method"


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        (has("a", "x"), b"x", True),
        (has("a", "x"), b"X", False),
        (has("a", "x"), b"xy", False),
        (has("a", "x"), None, False),
        (has("a", ""), b"", True),
        (has("a", ""), None, False),
        (has("a", "é"), "é".encode(), True),
        (has("a", "x", HeaderMatch.PREFIX), b"xyz", True),
        (has("a", "x", HeaderMatch.PREFIX), b"x", True),
        (has("a", "x", HeaderMatch.PREFIX), b"yx", False),
        (has("a", "x", HeaderMatch.PREFIX), b"", False),
        (has("a", "x", HeaderMatch.PREFIX), None, False),
        (has("a", "", HeaderMatch.PREFIX), b"", True),
        (has("a", "", HeaderMatch.PREFIX), None, False),
        (has("a", "x+", HeaderMatch.REGEX), b"xxx", True),
        (has("a", "x+", HeaderMatch.REGEX), b"xxxy", False),
        (has("a", "x+", HeaderMatch.REGEX), b"yxxx", False),
        (has("a", "x|y", HeaderMatch.REGEX), b"y", True),
        (has("a", "x*", HeaderMatch.REGEX), b"", True),
        (has("a", "x*", HeaderMatch.REGEX), None, False),
        (has("a", "(?i)beta", HeaderMatch.REGEX), b"BETA", True),
        (has("a", "", HeaderMatch.PRESENT), b"anything", True),
        (has("a", "", HeaderMatch.PRESENT), b"", True),
        (has("a", "ignored", HeaderMatch.PRESENT), b"other", True),
        (has("a", "", HeaderMatch.PRESENT), None, False),
    ],
)
def test_a_header_condition_holds_only_for_a_field_that_is_there(
    condition: HeaderCondition, value: bytes | None, holds: bool
) -> None:
    fields = NONE if value is None else Fields(a=value)
    assert header_test(condition)(fields) is holds
    table = index(r=Rule(path="/v1/x", headers=(condition,)))
    assert find(table, fields=fields) == ("r" if holds else None)


def test_header_conditions_are_held_against_a_real_head() -> None:
    head = parse_request(b"GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Canary:  always \r\n\r\n")
    table = index(r=Rule(headers=(has("x-canary", "always"),)))
    assert match_route(table.nodes(head.path), head.method, head, None) == "r"


# -- 5: order ----------------------------------------------------------------------------------


def test_of_equal_rules_the_first_in_the_configuration_wins() -> None:
    rule = Rule(path="/v1/x", model="m", methods=("POST",), headers=(has("a", "1"),))
    other = Rule(path="/v1/x", model="m", methods=("POST",), headers=(has("b", "1"),))
    assert find(index(a=rule, b=other), model="m", fields=Fields(a=b"1", b=b"1")) == "a"
    assert find(index(b=other, a=rule), model="m", fields=Fields(a=b"1", b=b"1")) == "b"


def test_the_place_in_the_configuration_counts_not_the_place_in_the_table() -> None:
    routes = [
        Route(name=name, order=order, rules=(Rule(path="/v1/x"),), versions=VERSIONS)
        for name, order in (("second", 1), ("first", 0))
    ]
    assert find(RouteIndex(routes)) == "first"


def test_a_route_answers_for_any_of_its_rules() -> None:
    table = index(r=(Rule(path="/a"), Rule(path_prefix="/b", methods=("GET",))))
    assert find(table, b"/a") == "r"
    assert find(table, b"/b/c", method=b"GET") == "r"
    assert find(table, b"/b/c") is None


def test_a_table_without_routes_matches_nothing() -> None:
    assert find(index()) is None


def test_a_rule_that_does_not_hold_lets_the_next_one_try() -> None:
    table = index(
        a=Rule(path="/v1/x", model="m", methods=("GET",)),
        b=Rule(path="/v1/x", model="m", headers=(has("a", "1"),)),
        c=Rule(path="/v1/x"),
    )
    assert find(table, model="m", method=b"GET") == "a"
    assert find(table, model="m", fields=Fields(a=b"1")) == "b"
    assert find(table, model="m") == "c"


def test_ten_thousand_paths_asked_for_in_turn_are_answered_alike() -> None:
    table = index(a=Rule(path_prefix="/v1"), b=Rule(path="/v1/7"))
    for _ in range(2):
        for number in range(10_000):
            assert find(table, b"/v1/%d" % number) == ("b" if number == 7 else "a")
        assert find(table, b"/v2") is None


# -- KServe ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (b"/v2/models/bert", "bert"),
        (b"/v2/models/bert/infer", "bert"),
        (b"/v2/models/bert/versions/3/infer", "bert"),
        (b"/v2/models/bert/ready", "bert"),
        (b"/v2/models/my%20bert.v1/generate", "my%20bert.v1"),
        (b"/v2/models/a:b/infer", "a:b"),
        (b"/v1/models/bert:predict", "bert"),
        (b"/v1/models/bert:explain", "bert"),
    ],
)
def test_a_kserve_path_names_its_model(path: bytes, model: str) -> None:
    found = model_in_path(path)
    assert found is not None
    name, start, end = found
    assert (name, path[start:end]) == (model, model.encode())


@pytest.mark.parametrize(
    "path",
    [
        b"/v2/models",
        b"/v2/models/",
        b"/v2/models//infer",
        b"/v2/health/live",
        b"/v1/models",
        b"/v1/models/bert",
        b"/v1/models/bert/x:predict",
        b"/v1/models/:predict",
        b"/v1/chat/completions",
        b"/x/v2/models/bert/infer",
        b"/V2/models/bert",
        b"*",
    ],
)
def test_any_other_path_names_none(path: bytes) -> None:
    assert model_in_path(path) is None
