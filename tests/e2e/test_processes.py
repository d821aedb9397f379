"""`serve` and its processes: how they start, die, come back, reload and end."""

from __future__ import annotations

import concurrent.futures
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from loadtests.ports import free_port
from tests.support.engines import EngineProcess, running_engine
from tests.support.routers import RouterProcess, document, route, running_router

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
ANSWERED = 'model_requests_total{code="200",role="stable",route="chat",version="v1"}'


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    with running_engine("v1") as engine:
        yield engine


@pytest.fixture(scope="module")
def steady(
    tmp_path_factory: pytest.TempPathFactory, engine: EngineProcess
) -> Iterator[RouterProcess]:
    """For tests that leave it as they found it."""
    config = document(route(v1=engine.url))
    with running_router(tmp_path_factory.mktemp("steady"), config) as router:
        yield router


@pytest.fixture
def router(tmp_path: Path, engine: EngineProcess) -> Iterator[RouterProcess]:
    with running_router(tmp_path, document(route(v1=engine.url))) as router:
        yield router


def ask(router: RouterProcess, **how: object) -> httpx.Response:
    """One request on a connection of its own, so that the kernel chooses the worker."""
    with httpx.Client(timeout=20.0, trust_env=False) as client:
        return client.post(f"{router.traffic}/v1/chat/completions", json={**CHAT, **how})


class Load:
    """Requests without a pause, from several threads, until the block ends."""

    def __init__(self, router: RouterProcess) -> None:
        self.answers: list[httpx.Response] = []
        self.failures: list[Exception] = []
        self._router = router
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                self.answers.append(ask(self._router))
            except httpx.TransportError as error:
                self.failures.append(error)

    def stop(self) -> None:
        self._over.set()


@contextmanager
def load(router: RouterProcess, threads: int = 4) -> Iterator[Load]:
    running = Load(router)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for _ in range(threads):
            pool.submit(running.run)
        try:
            yield running
        finally:
            running.stop()


# -- start -------------------------------------------------------------------------------------


def test_one_line_says_where_the_router_is_reached(steady: RouterProcess) -> None:
    assert steady.said == (
        f"inference-router ready: traffic {steady.traffic}, admin {steady.admin}, "
        "2 workers, generation 1\n"
    )


def test_requests_are_answered_and_counted(steady: RouterProcess) -> None:
    answer = ask(steady)
    assert answer.status_code == 200
    assert answer.headers["x-model-version"] == "v1"
    assert answer.headers["x-router-generation"] == "1"
    steady.wait_until(lambda: steady.metric(ANSWERED) == 1)


def test_the_line_says_what_is_missing_when_an_endpoint_is_down(tmp_path: Path) -> None:
    down = route(v1="http://127.0.0.1:9") | {"health": {"path": "/health"}}
    with running_router(tmp_path, document(down)) as router:
        assert router.said.startswith(
            "inference-router not ready (route chat: version v1 has no healthy endpoint): traffic "
        )
        assert router.readiness()["ready"] is False


def test_a_worker_is_small(steady: RouterProcess) -> None:
    workers = [child for name, child in steady.children().items() if name != "control"]
    assert len(workers) == 2
    assert max(worker.memory_info().rss for worker in workers) < 90 * 1024 * 1024


def test_workers_may_have_as_many_connections_as_the_system_allows(steady: RouterProcess) -> None:
    for name in ("w0", "w1"):
        soft, hard = steady.children()[name].rlimit(psutil.RLIMIT_NOFILE)
        assert soft == hard


@pytest.mark.parametrize(
    ("server", "line"),
    [
        ({"listen": "127.0.0.1:{taken}"}, "server.listen: cannot listen on 127.0.0.1:{taken}: "),
        ({"admin": "127.0.0.1:{taken}"}, "server.admin: cannot listen on 127.0.0.1:{taken}: "),
        ({"listen": "no.such.invalid:0"}, "server.listen: cannot resolve 'no.such.invalid': "),
    ],
)
def test_an_address_that_cannot_be_had_is_one_clear_line_and_exit_1(
    tmp_path: Path, server: dict[str, str], line: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        wanted = {key: value.replace("{taken}", taken) for key, value in server.items()}
        router = RouterProcess(tmp_path, document(route(v1="http://127.0.0.1:9"), **wanted))
        assert router.wait_ended() == 1
    assert router.log.startswith(line.replace("{taken}", taken))
    assert router.log.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "cannot be read: No such file or directory"),
        ("routes: [", "not valid YAML"),
        ("routs: []\n", 'unknown field "routs" (did you mean "routes"?)'),
    ],
)
def test_a_configuration_that_cannot_be_used_is_one_clear_line_and_exit_1(
    tmp_path: Path, text: str | None, line: str
) -> None:
    file = tmp_path / "router.yaml"
    if text is not None:
        file.write_text(text)
    command = [sys.executable, "-m", "router", "serve", "-c", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert line in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


# -- death -------------------------------------------------------------------------------------


def test_no_request_fails_because_control_died_and_it_comes_back(router: RouterProcess) -> None:
    with load(router) as running:
        router.wait_until(lambda: len(running.answers) > 20)
        killed = router.kill("control")
        router.wait_until(lambda: router.pid("control") not in (None, killed))
        state = router.wait_ready()
        answered = len(running.answers)
        router.wait_until(lambda: len(running.answers) > answered + 20)
    assert running.failures == []
    assert {answer.status_code for answer in running.answers} == {200}
    assert router.children()["control"].pid != killed
    assert state["workers"] == {"w0": 1, "w1": 1}  # the same table, from the store
    # The workers' counts survived the control that had them.
    router.wait_until(lambda: router.metric(ANSWERED) == len(running.answers))


def test_only_the_open_requests_of_a_dead_worker_fail_and_it_comes_back(
    router: RouterProcess,
) -> None:
    threads = 4
    with load(router, threads) as running:
        router.wait_until(lambda: len(running.answers) > 20)
        killed = router.kill("w0")
        router.wait_until(lambda: is_replaced(router, "w0", killed))
        answered = len(running.answers)
        router.wait_until(lambda: len(running.answers) > answered + 20)
    assert len(running.failures) <= threads
    assert {answer.status_code for answer in running.answers} == {200}


def test_connections_wait_for_the_successor_of_a_dead_worker(
    tmp_path: Path, engine: EngineProcess
) -> None:
    with running_router(tmp_path, document(route(v1=engine.url), workers=1)) as router:
        router.kill("w0")
        assert ask(router).status_code == 200


def test_merged_counters_never_fall_while_workers_die(router: RouterProcess) -> None:
    for _ in range(10):
        ask(router)
    router.wait_until(lambda: router.metric(ANSWERED) == 10)
    for name in ("w0", "w1"):
        killed = router.kill(name)
        router.wait_until(lambda pid=killed, name=name: is_replaced(router, name, pid))
        assert router.metric(ANSWERED) == 10
    ask(router)
    router.wait_until(lambda: router.metric(ANSWERED) == 11)
    assert router.metric("router_worker_restarts_total") == 2


def test_everything_ends_when_the_supervisor_is_killed(router: RouterProcess) -> None:
    children = list(router.children().values())
    directory = link_directory(router)
    assert len(children) == 3
    router.process.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert not directory.exists()


# -- reload ------------------------------------------------------------------------------------


def test_a_changed_file_is_served_without_a_restart(
    router: RouterProcess, engine: EngineProcess
) -> None:
    with load(router) as running:
        router.wait_until(lambda: len(running.answers) > 20)
        router.write_config(document(route(v1=engine.url), route("new", "/new", v1=engine.url)))
        router.wait_ready(generation=2)
        answered = len(running.answers)
        router.wait_until(lambda: len(running.answers) > answered + 20)
    assert running.failures == []
    assert {answer.status_code for answer in running.answers} == {200}
    assert running.answers[-1].headers["x-router-generation"] == "2"


def test_a_bad_file_is_refused_whole_and_the_old_one_keeps_serving(
    router: RouterProcess, engine: EngineProcess
) -> None:
    bad = document(route("new", "/new", v1=engine.url), route(v2=engine.url), nonsense=1)
    router.write_config(bad)
    router.wait_until(lambda: router.metric('router_config_reloads_total{result="refused"}') == 1)
    assert ask(router).headers["x-model-version"] == "v1"
    assert router.readiness()["generation"] == 1
    assert "configuration refused, the old one keeps serving" in router.log
    assert 'unknown field "nonsense"' in router.log


def test_sighup_reads_the_file_again(router: RouterProcess) -> None:
    router.signal(signal.SIGHUP)
    router.wait_until(lambda: router.metric('router_config_reloads_total{result="ok"}') == 2)


def test_what_needs_a_restart_is_said(router: RouterProcess, engine: EngineProcess) -> None:
    router.write_config(document(route(v1=engine.url), workers=5))
    router.wait_until(lambda: "server.workers has changed: that needs a restart" in router.log)


# -- end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_that_runs_when_the_router_is_told_to_end_is_finished(
    tmp_path: Path, number: signal.Signals
) -> None:
    with (
        running_engine("slow", time_scale=1.0, step_seconds=0.02) as engine,
        running_router(tmp_path, document(route(v1=engine.url), drainSeconds=20)) as router,
        httpx.Client(timeout=20.0, trust_env=False) as client,
        client.stream(
            "POST",
            f"{router.traffic}/v1/chat/completions",
            json={**CHAT, "stream": True, "max_tokens": 50},
        ) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        router.signal(number)
        received = [line for line in lines if line]
        assert received[-1] == "data: [DONE]"
        assert router.wait_ended() == 0


def test_new_connections_are_refused_once_the_router_has_ended(
    tmp_path: Path, engine: EngineProcess
) -> None:
    # No port that the kernel chose: another test's server may get it a moment later.
    config = document(route(v1=engine.url), listen=f"127.0.0.1:{free_port()}")
    with running_router(tmp_path, config) as router:
        router.signal(signal.SIGTERM)
        assert router.wait_ended() == 0
        with pytest.raises(httpx.ConnectError):
            ask(router)


def test_not_ready_while_draining(tmp_path: Path, engine: EngineProcess) -> None:
    config = document(route(v1=engine.url), drainDelaySeconds=1)
    with running_router(tmp_path, config) as router:
        router.signal(signal.SIGTERM)
        router.wait_until(lambda: router.readiness()["reasons"][:1] == ["draining"])
        assert ask(router).status_code == 200  # load balancers need the delay to notice
        assert router.wait_ended() == 0


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with (
        running_engine("slow", time_scale=1.0, step_seconds=10.0) as engine,
        running_router(tmp_path, document(route(v1=engine.url))) as router,
        httpx.Client(timeout=20.0, trust_env=False) as client,
        client.stream(
            "POST", f"{router.traffic}/v1/chat/completions", json={**CHAT, "stream": True}
        ),
    ):
        router.signal(signal.SIGINT)
        router.wait_until(lambda: router.readiness()["reasons"][:1] == ["draining"])
        router.signal(signal.SIGINT)
        assert router.wait_ended(deadline_s=5) == 1


def test_nothing_is_left_behind(router: RouterProcess) -> None:
    directory = link_directory(router)
    assert directory.stat().st_mode & 0o777 == 0o700
    router.signal(signal.SIGTERM)
    assert router.wait_ended() == 0
    assert not directory.exists()


def link_directory(router: RouterProcess) -> Path:
    settings = json.loads(router.children()["control"].cmdline()[-1])
    return Path(settings["link"]).parent


def is_replaced(router: RouterProcess, name: str, pid: int) -> bool:
    child = router.children().get(name)
    return child is not None and child.pid != pid and name in router.readiness()["workers"]
