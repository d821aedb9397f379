"""What must never be written down is not."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from hashlib import sha256
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.comparison import Comparison, Difference, Field, Judgement, Verdict
from router.comparison.json_paths import parse
from router.controller.shadow.document import document_of
from router.controller.shadow.paths import MARKER
from router.controller.shadow.redaction import MAX_BODY, MAX_READ, Redaction, target
from router.evaluation.tally import Observed
from router.link.messages import Captured, Fields, Pair

SECRET = "sesame-7f3a"
JSON: Fields = [("content-type", "application/json")]
EVENTS: Fields = [("content-type", "text/event-stream; charset=utf-8")]


def rules(*paths: str, headers: tuple[str, ...] = (), digest: bool = False) -> Redaction:
    return Redaction(
        paths=tuple(parse(path) for path in paths),
        headers=frozenset(headers),
        digest_prompts=digest,
    )


def document(redaction: Redaction, comparison: Comparison | None = None, **more: Any) -> str:
    """Everything that is recorded of a pair, as text; `more` of the pair."""
    answer = Captured("v1", "answered", status=200, fields=JSON, body=b'{"text": "hi"}')
    pair = Pair(
        **{
            "route": "chat",
            "request_id": "id-1",
            "time_s": 1.0,
            "generation": 3,
            "method": "POST",
            "target": "/v1/chat/completions",
            "fields": JSON,
            "request": b"{}",
            "primary": answer,
            "shadow": answer,
            "twin": answer,
            **more,
        }
    )
    observed = Observed(comparison=comparison or Comparison(), twin=comparison or Comparison())
    judgement = Judgement(Verdict.MISMATCH, "text.exact")
    return orjson.dumps(document_of(pair, observed, judgement, redaction)).decode()


# -- properties --------------------------------------------------------------------------------

_NAMES = st.sampled_from(["a", "b", "content", "user", "x-y", "_z"])
_LEAVES = st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=12,
)


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, Any]:
    """A path, and a document with secrets at its end: in a value, or in the keys below it."""
    inside = draw(st.sampled_from([SECRET, {SECRET: 1}, [[SECRET]], {"k": {"a": f"x{SECRET}"}}]))
    path, value = "", inside
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            name = draw(_NAMES)
            value = {**draw(st.dictionaries(_NAMES, _TREES, max_size=2)), name: value}
            forms = [f".{name}", f"['{name}']", ".*", "[*]", f"..{name}"]
        else:
            before = draw(st.lists(_TREES, max_size=2))
            value = [*before, value, *draw(st.lists(_TREES, max_size=2))]
            forms = [f"[{len(before)}]", "[*]", ".*"]
        path = draw(st.sampled_from(forms)) + path
    return "$" + path, value


@given(planted(), st.integers(0, 3))
def test_a_secret_under_a_redacted_path_is_nowhere_in_the_document(
    secret: tuple[str, Any], where: int
) -> None:
    path, value = secret
    body = orjson.dumps(value)
    stream = b'data: {"a":1}\n\nevent: x\r\ndata: ' + body + b"\r\n\r\ndata: [DONE]\n\n"
    answers: list[dict[str, Any]] = [
        {"request": body},
        {"primary": Captured("v1", "answered", fields=JSON, body=body)},
        {"shadow": Captured("v2", "answered", fields=EVENTS, body=stream)},
        {
            "twin": Captured(
                "v1",
                "answered",
                fields=[*JSON, ("content-encoding", "gzip")],
                body=gzip.compress(body),
            )
        },
    ]
    excerpt = Difference(
        field=Field.JSON,
        same=False,
        rule="json.value",
        place=f"$.{SECRET}",
        primary=f"…{SECRET}…",
        other=SECRET,
    )
    comparison = Comparison(fields=(excerpt,), error=f"other: an error in the stream ({SECRET})")
    assert SECRET not in document(rules(path), comparison, **answers[where])


@given(planted(), st.data())
def test_a_body_that_was_cut_anywhere_does_not_give_the_secret_away(
    secret: tuple[str, Any], data: st.DataObject
) -> None:
    path, value = secret
    body = orjson.dumps(value)
    cut = body[: data.draw(st.integers(0, len(body)))]
    fields = data.draw(st.sampled_from([JSON, EVENTS, []]))
    framed = b"data: " + cut if fields is EVENTS else cut
    assert SECRET not in document(rules(path), request=framed, fields=fields)


@given(
    name=st.sampled_from(["x-tenant", "x-request-id", "content-type", "content-encoding"]),
    upper=st.booleans(),
)
def test_a_secret_in_a_redacted_header_is_nowhere_in_the_document(name: str, upper: bool) -> None:
    field = (name.upper() if upper else name, SECRET)
    answer = Captured("v1", "answered", fields=[field, ("x-ok", "1")], body=b"{}")
    made = document(
        rules(headers=(name,)),
        fields=[field, ("x-ok", "1")],
        request_id=SECRET if name == "x-request-id" else "id-1",
        primary=answer,
        shadow=answer,
        twin=answer,
    )
    assert SECRET not in made
    assert '"x-ok","1"' in made


@given(st.binary(max_size=200), st.sampled_from([JSON, EVENTS, []]), st.booleans())
def test_whatever_a_body_is_it_is_kept_as_something_that_can_be_written(
    body: bytes, fields: Fields, digest: bool
) -> None:
    for redaction in (rules(digest=digest), rules("$.a", digest=digest)):
        kept = redaction.body(body, fields)
        assert orjson.loads(orjson.dumps(kept)) == kept
        assert kept["length"] == len(body)


@given(st.text(max_size=50), st.dictionaries(_NAMES, st.text(max_size=20)))
def test_nothing_of_a_prompt_is_kept_where_only_its_digest_is_wanted(
    text: str, more: dict[str, str]
) -> None:
    prompt = f"{SECRET}{text}"
    body = orjson.dumps({**more, "messages": [{"content": prompt}]})
    made = document(rules(digest=True), request=body)
    assert SECRET not in made
    assert sha256(body).hexdigest() in made


# -- headers and targets -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Proxy-Authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-auth-token",
        "x-amz-security-token",
        "x-client-secret",
        "x-signature",
    ],
)
def test_credentials_are_hidden_whatever_the_configuration_says(name: str) -> None:
    assert rules().fields([(name, SECRET)]) == [[name, MARKER]]


@pytest.mark.parametrize("name", ["content-type", "x-ratelimit-remaining-tokens", "x-keyboard"])
def test_other_headers_are_kept(name: str) -> None:
    assert rules().fields([(name, "as it is")]) == [[name, "as it is"]]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("/v1/models", "/v1/models"),
        ("/v1/m?api_key=x&alt=sse", f"/v1/m?api_key={MARKER}&alt={MARKER}"),
        (f"/v1/m?{SECRET}", f"/v1/m?{MARKER}"),
        ("/v1/m?", "/v1/m?"),
        ("/v1/m?a=b=c?d", f"/v1/m?a={MARKER}"),
        (f"http://u:{SECRET}@h/v1?a=b", f"{MARKER}?a={MARKER}"),
    ],
)
def test_a_target_keeps_its_path_and_the_names_of_its_parameters(text: str, kept: str) -> None:
    assert target(text) == kept


def test_a_field_or_target_without_end_is_cut() -> None:
    [[_, value]] = rules().fields([("x", "y" * 100_000)])
    assert len(value) == 1_000
    assert len(rules().fields([("x", "y")] * 5_000)) == 100
    assert len(target("/" + "x" * 100_000)) == 1_000


# -- bodies ------------------------------------------------------------------------------------


def test_json_is_kept_as_json_text_as_text_and_anything_else_as_base64() -> None:
    keep = rules()
    assert keep.body(b'{"a": [1, 2.5]}', JSON)["json"] == {"a": [1, 2.5]}
    assert keep.body(b"data: hi\n\n", EVENTS)["text"] == "data: hi\n\n"
    assert keep.body("grüß".encode(), [])["text"] == "grüß"
    assert base64.b64decode(keep.body(b"\x00\xff", [])["base64"]) == b"\x00\xff"
    assert keep.body(b"", JSON) == {"length": 0}
    assert "omitted" in keep.request_body(None, JSON)


def test_a_packed_body_is_kept_unpacked() -> None:
    packed = [*JSON, ("content-encoding", "gzip")]
    assert rules().body(gzip.compress(b'{"a":1}'), packed)["json"] == {"a": 1}


def test_a_packed_body_that_would_fill_the_memory_stays_packed() -> None:
    bomb = gzip.compress(b"0" * (9 * 1024 * 1024))
    kept = rules().body(bomb, [*JSON, ("content-encoding", "gzip")])
    assert kept["length"] == len(bomb)


@pytest.mark.parametrize("character", ["x", "é", "€", "😀"])
@pytest.mark.parametrize("shift", range(4))
def test_a_long_text_is_cut_between_two_characters(character: str, shift: int) -> None:
    body = b"x" * shift + character.encode() * (MAX_BODY + 1)
    kept = rules().body(body, [("content-type", "text/plain")])
    assert kept["clipped"]
    assert MAX_BODY - 4 <= len(kept["text"].encode()) <= MAX_BODY
    assert kept["length"] == len(body)
    assert kept["sha256"] == sha256(body).hexdigest()


def test_long_json_is_kept_as_the_beginning_of_its_text() -> None:
    kept = rules().body(orjson.dumps(["x" * 100] * 1_000), JSON)
    assert kept["clipped"]
    assert kept["text"].startswith('["xxx')


def test_a_body_nested_beyond_all_measure_is_kept_as_text() -> None:
    body = b"[" * 100 + b"]" * 100
    assert rules().body(body, JSON)["text"] == body.decode()
    assert "nested deeper" in rules("$.a").body(body, JSON)["omitted"]


@pytest.mark.parametrize(
    "body", [b'{"a": "sesa', b"a=sesame", b'{"a": NaN}', b"\xff\xfe", b'{"a": "\\ud800"}']
)
def test_what_cannot_be_read_is_left_out_whole_where_something_is_to_be_hidden(
    body: bytes,
) -> None:
    kept = rules("$.a").body(body, JSON)
    assert kept.keys() == {"length", "omitted"}
    assert "redact.paths" in kept["omitted"]


def test_what_is_too_long_to_be_searched_is_left_out_whole() -> None:
    kept = rules("$.a").body(orjson.dumps({"b": "x" * MAX_READ}), JSON)
    assert kept.keys() == {"length", "omitted"}


def test_the_digest_of_a_redacted_body_is_that_of_what_is_left() -> None:
    one, two = (rules("$.pin").body(b'{"pin":"%d"}' % pin, JSON) for pin in (1234, 9876))
    assert one["sha256"] == two["sha256"]


def test_of_a_stream_nothing_but_its_events_is_left_each_hidden_by_itself() -> None:
    stream = (
        b": sesame\r\nid: sesame\r\nevent: sesame\r\n"
        b'data: {"t": "sesame",\r\ndata: "i": 1}\r\n\r\n'
        b'data: {"t": 1, "t": "sesame"}\n\n'
        b"data: not JSON, sesame\n\nretry: 5\n\ndata: [DONE]\n\n"
        b'data: {"t": "sesa'
    )
    kept = rules("$.t").body(stream, EVENTS)
    assert kept["json"] == [{"t": MARKER, "i": 1}, {"t": MARKER}, MARKER]
    assert kept["folded"]


@pytest.mark.parametrize("path", ["$.choices[*].delta.content", "$.choices[*].message.content"])
def test_a_path_means_the_same_in_a_stream_and_in_its_message(path: str) -> None:
    events = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("ses", "ame")]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    stream = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in [*events, last])
    kept = rules(path).body(stream + b"data: [DONE]\n\n", EVENTS)
    [choice] = kept["json"]["choices"]
    assert choice["finish_reason"] == "stop"
    assert MARKER in choice["message"]["content"]
    assert b"ame" not in orjson.dumps(kept)
    assert rules().body(stream, EVENTS)["text"] == stream.decode()


def test_a_stream_that_was_cut_is_left_out_whole_where_something_is_to_be_hidden() -> None:
    event = {"choices": [{"index": 0, "delta": {"content": "sesame"}}]}
    kept = rules("$.choices[*].message.content").body(
        b"data: " + orjson.dumps(event) + b"\n\n", EVENTS
    )
    assert kept.keys() == {"length", "omitted"}


def test_a_key_that_comes_twice_is_hidden_both_times() -> None:
    kept = rules("$.a.pin").body(b'{"a":{"pin":"sesame"},"a":{}}', JSON)
    assert kept["json"] == {"a": {}}


def test_a_pair_is_not_changed_by_being_recorded() -> None:
    body = {"user": "ann"}
    before = copy.deepcopy(body)
    answer = Captured("v1", "answered", fields=JSON, body=orjson.dumps(body))
    document(rules("$.user"), primary=answer)
    assert json.loads(answer.body) == before


def test_without_rules_the_whole_pair_is_there() -> None:
    difference = Difference(
        field=Field.TEXT, same=False, rule="text.exact", place="$.text", primary="hi", other="ho"
    )
    made = orjson.loads(document(rules(), Comparison(fields=(difference,), tokens=(3, 4))))
    assert made["request"] == {
        "method": "POST",
        "target": "/v1/chat/completions",
        "fields": [["content-type", "application/json"]],
        "body": {"length": 2, "sha256": sha256(b"{}").hexdigest(), "json": {}},
    }
    assert (made["requestId"], made["generation"], made["verdict"]) == ("id-1", 3, "mismatch")
    shadow = made["shadow"]
    assert (shadow["version"], shadow["outcome"], shadow["status"]) == ("v1", "answered", 200)
    assert shadow["differences"][0]["other"] == "ho"
    assert shadow["tokens"] == [3, 4]
    assert made["twin"]["body"]["json"] == {"text": "hi"}
