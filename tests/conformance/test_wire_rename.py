"""A version's own name of the model: that one value changes, every other byte stays."""

from __future__ import annotations

import pytest

from router.snapshot import Rule, StickyKind, StickySource
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.raw import RawClient, chunk, chunked_post, get, post
from tests.support.upstreams import Upstream, Upstreams

CHAT = "/v1/chat/completions"


@pytest.fixture
async def v1(router: RunningDataPlane, upstreams: Upstreams) -> Upstream:
    """A server that knows the public model `llama` by another name."""
    upstream = await upstreams.named("v1")
    rules = (Rule(path_prefix="/", model="llama"), Rule(path="/free"))
    router.install(route("chat", version("v1", upstream, model="llama-0901"), rules=rules))
    return upstream


JSON = {
    "plain": (b'{"model":"llama","n":1}', b'{"model":"llama-0901","n":1}'),
    "spaces": (
        b' { "n" : 1.50 ,\r\n\t"model" : "llama" , "x":[ ] }\n',
        b' { "n" : 1.50 ,\r\n\t"model" : "llama-0901" , "x":[ ] }\n',
    ),
    "nested before": (
        b'{"messages":[{"model":"llama"}],"t":"\\"model\\":\\"llama\\"","model":"llama"}',
        b'{"messages":[{"model":"llama"}],"t":"\\"model\\":\\"llama\\"","model":"llama-0901"}',
    ),
    "nested after": (
        b'{"model":"llama","tools":[{"model":"llama"}]}',
        b'{"model":"llama-0901","tools":[{"model":"llama"}]}',
    ),
    "escaped": (
        b'{"model":"\\u006clama","text":"\\u00e9\xc3\xa9"}',
        b'{"model":"llama-0901","text":"\\u00e9\xc3\xa9"}',
    ),
    "numbers": (
        b'{"a":1e-7,"b":12345678901234567890123,"model":"llama"}',
        b'{"a":1e-7,"b":12345678901234567890123,"model":"llama-0901"}',
    ),
}


@pytest.mark.parametrize("case", JSON)
async def test_only_the_models_value_changes_in_json(
    client: RawClient, v1: Upstream, case: str
) -> None:
    body, expected = JSON[case]
    assert (await client.ask(post(CHAT, body))).status == 200
    assert v1.requests[0].body == expected
    assert v1.requests[0].head.length == len(expected)


@pytest.mark.parametrize("case", JSON)
async def test_only_the_models_value_changes_in_chunked_json(
    client: RawClient, v1: Upstream, case: str
) -> None:
    body, expected = JSON[case]
    await client.send(chunked_post(CHAT, chunks=[body[:5], body[5:12]]))
    await client.send(chunk(body[12:]) + chunk(b""))
    assert (await client.read_answer()).status == 200
    assert v1.requests[0].body == expected


async def test_the_model_of_a_long_body_is_renamed_while_it_comes(
    client: RawClient, v1: Upstream
) -> None:
    tail = b',"image":"' + b"0123456789abcdef" * 150_000 + b'"}'
    await client.send(post(CHAT, b'{"model":"llama"' + tail))
    assert (await client.read_answer()).status == 200
    assert v1.requests[0].body == b'{"model":"llama-0901"' + tail


async def test_a_model_behind_what_may_be_inspected_is_refused_by_name(
    client: RawClient, v1: Upstream
) -> None:
    body = b'{"image":"' + b"x" * 1_500_000 + b'","model":"llama"}'
    answer = await client.ask(post(CHAT, body))
    assert (answer.status, answer.error["code"]) == (400, "model_required")
    assert answer.error["param"] == "model"
    assert v1.requests == []


async def test_only_the_models_value_changes_in_a_form(client: RawClient, v1: Upstream) -> None:
    form = (
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="model"\r\n\r\n'
        b"RIFF\x00\r\nllama\r\n"
        b'--b\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
        b"%b\r\n"
        b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\nen\r\n--b--\r\n'
    )
    kind = "multipart/form-data; boundary=b"
    request = post("/v1/audio/transcriptions", form % b"llama", kind=kind)
    assert (await client.ask(request)).status == 200
    assert v1.requests[0].body == form % b"llama-0901"
    assert v1.requests[0].head.length == len(form % b"llama-0901")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v2/models/llama/infer", "/v2/models/llama-0901/infer"),
        ("/v2/models/llama", "/v2/models/llama-0901"),
        (
            "/v2/models/llama/versions/llama/ready?llama",
            "/v2/models/llama-0901/versions/llama/ready?llama",
        ),
        (
            "/v1/models/llama:predict?x=/v1/models/llama",
            "/v1/models/llama-0901:predict?x=/v1/models/llama",
        ),
    ],
)
async def test_only_the_models_name_changes_in_a_path(
    client: RawClient, v1: Upstream, target: str, expected: str
) -> None:
    body = b'\x00{"model":"llama"}'
    assert (await client.ask(post(target, body))).status == 200
    assert v1.requests[0].target == expected
    assert v1.requests[0].body == body


async def test_a_body_without_a_model_stays_as_it_is(client: RawClient, v1: Upstream) -> None:
    assert (await client.ask(post("/free", b'{"input": 1}'))).status == 200
    assert v1.requests[0].body == b'{"input": 1}'
    assert (await client.ask(get("/free"))).status == 200


async def test_each_version_gets_its_own_name(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    versions = canary("v2", v2, weight=50, model="much-longer-name"), version("v1", v1, weight=50)
    router.install(route("chat", *versions, rules=(Rule(path=CHAT, model="llama"),)))
    for _ in range(4):
        assert (await client.ask(post(CHAT, b'{"model": "llama", "x": 1}'))).status == 200
    assert {request.body for request in v1.requests} == {b'{"model": "llama", "x": 1}'}
    assert {request.body for request in v2.requests} == {b'{"model": "much-longer-name", "x": 1}'}
    assert {request.head.length for request in v2.requests} == {37}


async def test_a_request_that_falls_back_gets_the_name_of_the_version_that_answers(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, broken = await upstreams.named("v1"), upstreams.refusing()
    versions = (
        canary("v2", broken, weight=100, model="new"),
        version("v1", v1, weight=0, model="old"),
    )
    router.install(route("chat", *versions, rules=(Rule(path=CHAT, model="llama"),)))
    assert (await client.ask(post(CHAT, b'{"model": "llama"}'))).status == 200
    assert v1.requests[0].body == b'{"model": "old"}'


async def test_renaming_and_sticking_look_at_the_same_body(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    versions = canary("v2", v2, weight=50, model="new"), version("v1", v1, weight=50, model="old")
    source = StickySource(kind=StickyKind.BODY, name="user")
    router.install(
        route("chat", *versions, rules=(Rule(path=CHAT, model="llama"),), sticky=(source,))
    )
    answers = [
        (await client.ask(post(CHAT, {"user": f"u{n % 5}", "model": "llama"}))).json()
        for n in range(20)
    ]
    for number, answer in enumerate(answers):
        assert answer["server"] == answers[number % 5]["server"]
        name = {"v1": "old", "v2": "new"}[answer["server"]]
        assert answer["echo"] == f'{{"user": "u{number % 5}", "model": "{name}"}}'
