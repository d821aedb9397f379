"""Where secrets are found, and what is said when they are not there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.analysis.providers.base import ProviderError, Reading, Subject
from router.clock import ManualClock
from router.config import Config
from router.config.models import OutsideHeader
from router.config.models.outside import Prometheus
from router.controller.default_server import with_default
from router.controller.fleet import Fleet
from router.controller.outside import Outside
from router.controller.secrets import (
    MAX_SECRET_BYTES,
    SECRETS_FOLDER,
    SecretError,
    read_arguments,
    read_env,
    read_file,
    read_headers,
)
from tests.support.raw import message
from tests.support.upstreams import Upstreams, saying, started_upstreams

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t-value"
SUBJECT = Subject(route="chat", canary="v2", stable="v1", started_s=0.0, now_s=1.0)
EMPTY_VECTOR = b'{"status":"success","data":{"resultType":"vector","result":[]}}'


def test_a_variable_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("one", "two"):
        monkeypatch.setenv("TOKEN", value)
        assert read_env("TOKEN") == value


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(SecretError, match="environment variable NOT_SET is not set"):
        read_env("NOT_SET")


def test_the_line_end_of_a_file_is_no_part_of_its_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f" {SECRET}\r\n\n")
    assert read_file(tmp_path / "token") == f" {SECRET}"


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x" * (MAX_SECRET_BYTES + 10))
    assert len(read_file(tmp_path / "token")) == MAX_SECRET_BYTES


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), (b"\xff" + SECRET.encode(), "it is not text")],
)
def test_a_file_that_cannot_be_read_is_named_without_its_content(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SecretError) as caught:
        read_file(file)
    assert str(caught.value) == f"cannot read {file}: {said}"
    assert caught.value.__cause__ is None


def test_a_header_is_what_its_source_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    (tmp_path / "token").write_text("from a file\n")
    headers = [
        OutsideHeader(name="x-plain", value="plain"),
        OutsideHeader(name="x-env", env="TOKEN"),
        OutsideHeader(name="x-file", file=str(tmp_path / "token")),
    ]
    assert read_headers(headers) == {
        "x-plain": "plain",
        "x-env": SECRET,
        "x-file": "from a file",
    }


def test_secret_arguments_come_from_everywhere_and_hide_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "grafana").mkdir()
    (tmp_path / "grafana" / "token").write_text(SECRET)
    monkeypatch.setenv(SECRETS_FOLDER, str(tmp_path))
    monkeypatch.setenv("TOKEN", SECRET)
    found = read_arguments(
        {
            "a": {"env": "TOKEN"},
            "b": {"file": str(tmp_path / "grafana" / "token")},
            "c": {"secretKeyRef": {"name": "grafana", "key": "token"}},
        }
    )
    assert {name: secret.reveal() for name, secret in found.items()} == dict.fromkeys("abc", SECRET)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"env": "NOT_SET"}, "environment variable NOT_SET is not set"),
        ({"fieldRef": {"fieldPath": "x"}}, "args.token: its valueFrom names no secret"),
        ({"secretKeyRef": {"name": "a"}}, "args.token: its valueFrom names no secret"),
        (
            {"secretKeyRef": {"name": "..", "key": "passwd"}},
            f"args.token: a secretKeyRef stays inside {SECRETS_FOLDER}",
        ),
        (
            {"secretKeyRef": {"name": "/etc", "key": "passwd"}},
            f"args.token: a secretKeyRef stays inside {SECRETS_FOLDER}",
        ),
    ],
)
def test_an_argument_that_has_no_secret_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, object], said: str
) -> None:
    monkeypatch.setenv(SECRETS_FOLDER, str(tmp_path))
    with pytest.raises(SecretError, match=said):
        read_arguments({"token": source})


def test_a_secret_key_ref_without_a_folder_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(SECRETS_FOLDER, raising=False)
    with pytest.raises(SecretError, match=f"needs {SECRETS_FOLDER}, the folder"):
        read_arguments({"token": {"secretKeyRef": {"name": "a", "key": "b"}}})


PARTS = st.text(max_size=20) | st.text("./\0a", max_size=5)


@given(name=PARTS, key=PARTS)
def test_no_secret_key_ref_reads_outside_of_the_folder(name: str, key: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(SECRETS_FOLDER, "/nowhere/secrets")
        with pytest.raises(SecretError) as caught:
            read_arguments({"token": {"secretKeyRef": {"name": name, "key": key}}})
    inside = f"cannot read /nowhere/secrets/{name}/{key}: "
    assert str(caught.value).startswith((inside, "args.token: a secretKeyRef stays"))


def test_the_default_server_is_filled_in_only_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    server = Prometheus(
        address="http://prometheus:9090", headers=(OutsideHeader(name="x-token", env="TOKEN"),)
    )
    own = {"address": "http://other", "query": "up"}
    assert with_default("prometheus", own, server) is own
    assert with_default("web", {"url": "http://x"}, server) == {"url": "http://x"}
    assert with_default("prometheus", {"query": "up"}, None) == {"query": "up"}
    assert with_default("prometheus", {"query": "up", "address": ""}, server) == {
        "address": "http://prometheus:9090",
        "headers": [{"key": "x-token", "value": SECRET}],
        "query": "up",
    }


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with started_upstreams() as started:
        yield started


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    made = Outside(Fleet(), ManualClock())
    yield made
    await made.close()


async def test_the_configured_prometheus_is_asked_with_the_token_of_that_moment(
    outside: Outside, upstreams: Upstreams, tmp_path: Path
) -> None:
    body = message("HTTP/1.1 200 OK", f"Content-Length: {len(EMPTY_VECTOR)}", body=EMPTY_VECTOR)
    server = await upstreams.start(replies=saying(body))
    token = tmp_path / "token"
    prometheus = {
        "address": server.url,
        "headers": [{"name": "authorization", "file": str(token)}],
    }
    outside.configure(Config.model_validate({"providers": {"prometheus": prometheus}}))
    with pytest.raises(SecretError, match=f"cannot read {token}"):
        await outside.measure("prometheus", {"query": "up"}, SUBJECT)
    for value in ("Bearer one", "Bearer two"):  # it was rotated
        token.write_text(value)
        answer = await outside.measure("prometheus", {"query": "up"}, SUBJECT)
        assert answer == Reading(value=[], no_data=True)
    assert [each.field("authorization") for each in server.requests] == ["Bearer one", "Bearer two"]


async def test_without_a_configured_prometheus_a_template_has_to_name_one(
    outside: Outside,
) -> None:
    outside.configure(Config())
    with pytest.raises(ProviderError, match="no address"):
        await outside.measure("prometheus", {"query": "up"}, SUBJECT)
