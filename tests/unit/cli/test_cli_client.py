"""The admin API's client: an answer, or an error that says what is wrong; never anything else."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

import pytest

from router.cli import client as client_module
from router.cli.client import AdminClient, Server
from router.cli.failures import (
    CommandError,
    ForeignError,
    NoAnswerError,
    RefusedError,
    UnreachableError,
)
from tests.support.admin_api import CannedApi, canned_api

TOKEN = "a-secret-of-27-characters-x"


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        yield api


@pytest.fixture
def client(api: CannedApi) -> Iterator[AdminClient]:
    client = AdminClient(Server(api.url, TOKEN))
    yield client
    client.close()


def refused_port() -> str:
    with canned_api() as api:
        return api.url


def test_an_answer_is_returned_as_it_is(api: CannedApi, client: AdminClient) -> None:
    api.answer("GET", "/routes", {"generation": 3, "routes": []})
    assert client.get("routes") == {"generation": 3, "routes": []}


def test_a_call_says_who_makes_it(api: CannedApi, client: AdminClient) -> None:
    api.answer("GET", "/routes", {})
    client.get("routes")
    assert api.calls[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert api.calls[0].headers["user-agent"].startswith("inference-router/")


def test_a_call_without_a_token_has_no_authorization(api: CannedApi) -> None:
    api.answer("GET", "/routes", {})
    client = AdminClient(Server(api.url))
    client.get("routes")
    client.close()
    assert api.calls[0].headers["authorization"] is None


def test_a_query_leaves_out_what_was_not_given(api: CannedApi, client: AdminClient) -> None:
    api.answer("GET", "/audit", {})
    client.get("audit", query={"route": None, "actor": "a b", "limit": 2})
    assert api.calls[0].path == "/api/v1/audit?actor=a+b&limit=2" or api.calls[0].path == (
        "/api/v1/audit?actor=a%20b&limit=2"
    )


def test_a_name_stays_one_segment_whatever_characters_it_has(
    api: CannedApi, client: AdminClient
) -> None:
    api.answer("GET", "/routes/a%2Fb%3Fc%20%C3%A4", {"it": "is"})
    assert client.get("routes", "a/b?c ä") == {"it": "is"}


def test_a_change_carries_body_query_and_headers(api: CannedApi, client: AdminClient) -> None:
    api.answer("PUT", "/routes/chat/weights", {"generation": 4}, 202)
    answer = client.change(
        "PUT",
        "routes",
        "chat",
        "weights",
        body={"reason": "ä"},
        query={"dryRun": "true"},
        headers={"if-match": '"3"'},
    )
    [call] = api.calls
    assert (answer.status, answer.document) == (202, {"generation": 4})
    assert call.path == "/api/v1/routes/chat/weights?dryRun=true"
    assert (call.document, call.headers["if-match"]) == ({"reason": "ä"}, '"3"')
    assert call.headers["content-type"] == "application/json"


def test_a_prefix_of_the_address_is_kept(api: CannedApi) -> None:
    api.answer("GET", "/x/api/v1/routes", {"it": "is"})
    client = AdminClient(Server(f"{api.url}/api/v1/x"))  # as behind an ingress
    assert client.get("routes") == {"it": "is"}
    client.close()


def test_a_refusal_keeps_the_problem_as_it_came(api: CannedApi, client: AdminClient) -> None:
    api.refuse("GET", "/routes", 403, title="No", detail="because", more=[1])
    with pytest.raises(RefusedError) as caught:
        client.get("routes")
    assert caught.value.status == 403
    assert caught.value.document == {
        "type": "urn:inference-router:test",
        "status": 403,
        "title": "No",
        "detail": "because",
        "more": [1],
    }


def test_nobody_there_is_unreachable_and_nothing_was_done() -> None:
    url = refused_port()
    client = AdminClient(Server(url))
    with pytest.raises(UnreachableError) as caught:
        client.change("POST", "reload", body={})
    client.close()
    assert str(caught.value).startswith(f"cannot reach {url}: ")
    assert "may or may not" not in str(caught.value)


def test_a_host_without_an_address_is_unreachable() -> None:
    client = AdminClient(Server("http://nobody.invalid:8081"))
    with pytest.raises(UnreachableError, match=r"cannot reach http://nobody\.invalid:8081"):
        client.get("routes")
    client.close()


@pytest.mark.parametrize("silence", [CannedApi.hang_up, CannedApi.stall])
def test_a_change_without_an_answer_may_or_may_not_have_been_made(
    api: CannedApi, silence: Callable[[CannedApi, str, str], None]
) -> None:
    silence(api, "POST", "/reload")
    client = AdminClient(Server(api.url, timeout_s=0.1))
    with pytest.raises(NoAnswerError) as caught:
        client.change("POST", "reload", body={})
    client.close()
    assert api.url in str(caught.value)
    assert str(caught.value).endswith(
        "the change may or may not have been made: look before you repeat it"
    )


def test_a_question_without_an_answer_has_changed_nothing(api: CannedApi) -> None:
    api.stall("POST", "/explain")
    client = AdminClient(Server(api.url, timeout_s=0.1))
    with pytest.raises(NoAnswerError, match=r"did not answer within 0\.1 s \(--timeout\)$"):
        client.ask("explain", body={})
    client.close()


def answer_html(api: CannedApi) -> None:
    api.answer("GET", "/routes", b"<html>", media_type="text/html")


def answer_half_a_document(api: CannedApi) -> None:
    api.answer("GET", "/routes", b'{"a":')


def answer_as_the_traffic_port(api: CannedApi) -> None:
    api.answer("GET", "/routes", {"error": {"message": "no route takes GET"}}, 404)


def answer_a_problem_that_is_a_list(api: CannedApi) -> None:
    api.answer("GET", "/routes", [], 404, "application/problem+json")


def answer_bad_gzip(api: CannedApi) -> None:
    api.answer("GET", "/routes", b"nonsense", content_encoding="gzip")


def redirect_elsewhere(api: CannedApi) -> None:
    api.answer("GET", "/routes", {}, 307, location=f"{api.url}/api/v1/elsewhere")


@pytest.mark.parametrize(
    "answer",
    [
        answer_html,
        answer_half_a_document,
        answer_as_the_traffic_port,
        answer_a_problem_that_is_a_list,
        answer_bad_gzip,
        redirect_elsewhere,
    ],
)
def test_what_is_no_admin_api_is_told_so(
    api: CannedApi, client: AdminClient, answer: Callable[[CannedApi], None]
) -> None:
    answer(api)
    with pytest.raises(ForeignError) as caught:
        client.get("routes")
    assert api.url in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert len(api.calls) == 1  # and a redirect is not followed: it would be given the token


def test_an_answer_without_end_is_not_read_to_it(
    api: CannedApi, client: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 2**20)
    bomb = gzip.compress(b" " * 2**21)
    api.answer("GET", "/routes", bomb, content_encoding="gzip")
    with pytest.raises(ForeignError, match="answered with more than 1 MiB"):
        client.get("routes")


def test_no_proxy_takes_part(
    api: CannedApi, client: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, refused_port())
    api.answer("GET", "/routes", {})
    fresh = AdminClient(Server(api.url))
    assert fresh.get("routes") == {}
    fresh.close()


def test_the_token_is_in_no_text(api: CannedApi, client: AdminClient) -> None:
    texts = [repr(client), str(client), repr(Server(api.url, TOKEN))]
    for prepare in (api.hang_up, api.stall):
        prepare("GET", "/routes")
    for _ in range(2):
        quick = AdminClient(Server(api.url, TOKEN, timeout_s=0.1))
        with pytest.raises(CommandError) as caught:
            quick.get("routes")
        quick.close()
        texts += [str(caught.value), repr(caught.value.document)]
    assert not any(TOKEN in text for text in texts)
