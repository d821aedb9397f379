"""A whole router with TLS: certificate and workers are replaced, it ends; nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from router.tls import ServerTls
from tests.support.certificates import Authority, Pair
from tests.support.engines import running_engine
from tests.support.load import load
from tests.support.routers import Document, RouterProcess, document, route, running_router

pytestmark = pytest.mark.anyio

DEADLINE_S: Final = 60.0


def configuration(engine: str, authority: Authority, pair: Pair) -> Document:
    tls = {
        "certificateFile": pair.certificate,
        "keyFile": pair.key,
        "clientCaFile": str(authority.file),
        "clientCertificates": "required",
    }
    # Within the delay every client is told to close, and may still come back.
    return document(route(v1=engine), drainSeconds=30, drainDelaySeconds=2, tls=tls)


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110  # other processes
            await asyncio.sleep(0.1)


async def test_tls_clients_lose_nothing_by_a_new_certificate_a_restart_or_the_end(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server", "localhost", "127.0.0.1")
    client = authority.client_context(authority.issue("client", "client"))
    with running_engine("fast") as engine:
        config = configuration(engine.url, authority, pair)
        with running_router(tmp_path, config) as router:
            assert router.traffic.startswith("https://")
            async with load(router.traffic, connections=6, pause_s=0.01, tls=client) as running:
                await running.wait_answers(50)
                authority.issue("new", "localhost", "127.0.0.1").copy_to(pair)
                await eventually(
                    lambda: router.metric('router_tls_reloads_total{result="ok"}') >= 2
                )
                await restart(router)
                done = len(running.answers)
                await running.wait_answers(done + 50)
                running.stop()
            assert running.failures == []
            async with load(router.traffic, connections=6, pause_s=0.01, tls=client) as last:
                await last.wait_answers(30)
                router.signal(signal.SIGTERM)
                done = len(last.answers)
                await last.wait_answers(done + 30)
                last.stop()
            assert last.failures == []
            assert await asyncio.to_thread(router.wait_ended) == 0


async def restart(router: RouterProcess) -> None:
    """Replace every worker, and wait until the old ones have ended."""
    before = {router.pid("w0"), router.pid("w1")}
    router.signal(signal.SIGUSR2)
    await eventually(lambda: not before & {router.pid("w0"), router.pid("w1")})
    await eventually(lambda: router.get("/api/v1/restart")["stage"] in ("draining", "done"))


async def test_files_that_do_not_fit_are_refused_at_the_start_with_their_line(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server", "localhost")
    other = authority.issue("other", "localhost")
    config = document(route(v1="http://127.0.0.1:9"))
    config["server"]["tls"] = {"certificateFile": pair.certificate, "keyFile": other.key}
    router = RouterProcess(tmp_path, config)
    try:
        assert await asyncio.to_thread(router.wait_ended) == 1
        lines = router.config_file.read_text().splitlines()
        at = next(n for n, line in enumerate(lines, 1) if "keyFile" in line)
        assert router.log.strip() == (
            f"{router.config_file}:{at} server.tls.keyFile: "
            f"{other.key} is not the key of the certificate in {pair.certificate}"
        )
    finally:
        router.close()


def test_a_worker_that_dies_while_the_files_are_bad_comes_back_when_they_are_good(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server", "127.0.0.1")
    key = pair.key_file.read_bytes()
    server: dict[str, Any] = {"certificateFile": pair.certificate, "keyFile": pair.key}
    with running_engine("fast") as engine:
        config = document(route(v1=engine.url), workers=1, tls=server)
        with running_router(tmp_path, config) as router:
            pair.key_file.write_bytes(b"")
            old = router.kill("w0")
            router.wait_until(lambda: "has no private key in PEM" in router.log)
            pair.key_file.write_bytes(key)
            router.wait_until(lambda: router.pid("w0") not in (None, old), DEADLINE_S)
            router.wait_until(lambda: router.readiness()["ready"], DEADLINE_S)
            context: ssl.SSLContext = authority.client_context()
            with httpx.Client(verify=context, trust_env=False) as client:
                asked = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
                answer = client.post(f"{router.traffic}/v1/chat/completions", json=asked)
                assert answer.status_code == 200


def test_the_router_looks_at_its_files_every_few_seconds() -> None:
    assert ServerTls(certificate_file="a", key_file="b").look_s <= 10
