"""Each set-up says what a fair comparison needs: 95 / 5, one worker, no waiting for chunks."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml

from loadtests.bench import peers
from loadtests.bench.peers import plain_proxy
from loadtests.bench.peers.envoy import Envoy
from loadtests.bench.peers.haproxy import Haproxy
from loadtests.bench.peers.litellm import LiteLlm
from loadtests.bench.peers.peer import ABSENT, package_version
from loadtests.bench.proxies import Address

UPSTREAM = [Address("127.0.0.1", 9000)]
ALL = peers.choose_peers(list(peers.NAMES), mirror=True)


@pytest.mark.parametrize("peer", ALL, ids=lambda peer: peer.name)
def test_a_peer_listens_on_a_port_of_its_own_and_asks_our_upstream(
    peer: peers.Peer, tmp_path: Path
) -> None:
    launch = peer.prepare(tmp_path, UPSTREAM)
    written = "".join(file.read_text() for file in tmp_path.iterdir())
    told = " ".join([*launch.command, *launch.environment.values(), written])
    assert str(launch.address.port) in told
    assert "9000" in told
    assert launch.ready_url.startswith(launch.address.url)
    assert launch.model == "bench-0"


def test_haproxy_shares_95_to_5_and_sends_chunks_at_once(tmp_path: Path) -> None:
    Haproxy().prepare(tmp_path, UPSTREAM)
    lines = [line.strip() for line in (tmp_path / "haproxy.cfg").read_text().splitlines()]
    assert "option http-no-delay" in lines
    assert "nbthread 1" in lines
    assert [line for line in lines if line.startswith("server ")] == [
        "server v1 127.0.0.1:9000 weight 95",
        "server v2 127.0.0.1:9000 weight 5",
    ]


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed")
def test_haproxy_itself_takes_its_configuration_without_a_warning(tmp_path: Path) -> None:
    Haproxy().prepare(tmp_path, UPSTREAM)
    command = ["haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr


@pytest.mark.parametrize("mirror", [False, True])
def test_envoy_shares_95_to_5_and_copies_only_as_mirror(mirror: bool, tmp_path: Path) -> None:
    launch = Envoy(mirror=mirror).prepare(tmp_path, UPSTREAM)
    document = json.loads((tmp_path / "envoy.json").read_text())["static_resources"]
    [listener] = document["listeners"]
    [network_filter] = listener["filter_chains"][0]["filters"]
    [host] = network_filter["typed_config"]["route_config"]["virtual_hosts"]
    action = host["routes"][-1]["route"]
    assert action["weighted_clusters"]["clusters"] == [
        {"name": "v1", "weight": 95},
        {"name": "v2", "weight": 5},
    ]
    assert action.get("request_mirror_policies", []) == ([{"cluster": "v2"}] if mirror else [])
    assert [cluster["name"] for cluster in document["clusters"]] == ["v1", "v2"]
    assert launch.command[launch.command.index("--concurrency") + 1] == "1"


def test_litellm_shares_one_model_95_to_5_and_is_loaded_lightly(tmp_path: Path) -> None:
    launch = LiteLlm().prepare(tmp_path, UPSTREAM)
    models = yaml.safe_load((tmp_path / "litellm.yaml").read_text())["model_list"]
    assert [model["model_name"] for model in models] == ["bench-0", "bench-0"]
    assert [model["litellm_params"]["weight"] for model in models] == [95, 5]
    assert launch.rewriting
    assert launch.ease > 1


def test_a_mirror_follows_its_peer_where_it_has_one() -> None:
    chosen = peers.choose_peers(["litellm", "envoy", "nginx"], mirror=True)
    assert [peer.name for peer in chosen] == ["envoy", "envoy mirror", "litellm"]
    assert [peer.name for peer in peers.choose_peers(["envoy"], mirror=False)] == ["envoy"]


def test_a_package_that_is_not_there_has_no_version(tmp_path: Path) -> None:
    assert package_version("litellm", tmp_path) == ABSENT
    metadata = tmp_path / "lib/python3.11/site-packages/litellm-1.2.3.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: litellm\nVersion: 1.2.3\n")
    assert package_version("litellm", tmp_path) == "1.2.3"


def test_the_plain_proxy_relays_method_path_headers_body_and_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[httpx.Request] = []

    async def words() -> AsyncIterator[bytes]:
        yield b"ma"
        yield b"de"

    async def answer(request: httpx.Request) -> httpx.Response:
        await request.aread()
        asked.append(request)
        return httpx.Response(201, content=words(), headers={"x-from": "upstream"})

    async def ask() -> httpx.Response:
        app = plain_proxy.make_app(httpx.AsyncClient(transport=httpx.MockTransport(answer)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as door:
            url = "http://door.test/v1/x"
            return await door.post(url, content=b"question", headers={"x-from": "client"})

    monkeypatch.setattr(plain_proxy, "_VERSIONS", ("http://v1.test", "http://v2.test"))
    response = asyncio.run(ask())
    assert (response.status_code, response.content) == (201, b"made")
    assert response.headers["x-from"] == "upstream"
    [request] = asked
    assert (request.method, request.url.path, request.content) == ("POST", "/v1/x", b"question")
    assert request.url.host in {"v1.test", "v2.test"}
    assert request.headers["host"] == request.url.host
    assert request.headers["x-from"] == "client"
