"""The image, built and run for real: read-only, without rights, and gone without a lost stream.

Not part of `make test`: it takes minutes and, where no engine runs, root.  `make test-container`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
import pytest
import yaml

from loadtests.ports import free_port
from router import __version__
from tests.container.base import base_image, pip_configuration, proxies
from tests.container.engine import DockerEngine, NoEngineError, running_engine
from tests.support.sse import read_events

pytestmark = pytest.mark.container

ROOT: Final = Path(__file__).parents[2]
MAX_BYTES: Final = 200_000_000
IMAGE: Final = "inference-router-test:built"
USER: Final = "10001"
TOOLS: Final = (
    "cc", "c++", "gcc", "g++", "clang", "tcc", "cpp", "ld", "as", "make", "cmake", "ninja",
    "rustc", "cargo", "go",
)  # fmt: skip
_LOCKED_DOWN: Final = (
    "--network=host", "--read-only", f"--user={USER}:{USER}", "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)  # fmt: skip
_CHAT: Final = {"model": "llama-3-8b", "messages": [{"role": "user", "content": "hello"}]}


@dataclass(frozen=True, slots=True)
class Running:
    """A container that runs."""

    engine: DockerEngine
    name: str

    def state(self) -> dict[str, Any]:
        """What the engine says of it."""
        found: dict[str, Any] = json.loads(self.engine.run("inspect", self.name))[0]["State"]
        return found

    def said(self) -> str:
        """Its standard output and error."""
        done = self.engine.ask("logs", self.name)
        return done.stdout + done.stderr

    def inside(self, *command: str, user: str = USER) -> str:
        """What a command in it says, whether it succeeds or not."""
        done = self.engine.ask("exec", f"--user={user}", self.name, *command)
        return (done.stdout + done.stderr).strip()

    def wait_said(self, pattern: str) -> re.Match[str]:
        """Wait until its log has this."""
        self.wait_until(lambda: re.search(pattern, self.said()) is not None)
        found = re.search(pattern, self.said())
        assert found is not None
        return found

    def wait_until(self, condition: Callable[[], bool], deadline_s: float = 60.0) -> None:
        """Poll: a container tells nobody that it is where a test wants it."""
        deadline = time.monotonic() + deadline_s
        while not condition():
            if not self.state()["Running"] or time.monotonic() > deadline:
                raise TimeoutError(f"{self.state()}\n{self.said()}")
            time.sleep(0.1)


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    try:
        with running_engine() as found:
            yield found
    except NoEngineError as error:
        pytest.fail(f"the image was NOT tested: {error}", pytrace=False)


@pytest.fixture(scope="module")
def image(engine: DockerEngine) -> Iterator[str]:
    """The Dockerfile of this tree, built."""
    with TemporaryDirectory(prefix="image-") as folder:
        build(engine, Path(folder))
    yield IMAGE
    engine.run("image", "rm", "--force", IMAGE)


def build(engine: DockerEngine, directory: Path) -> None:
    """Build the image on the base that can be had here."""
    try:
        base = base_image(engine, directory)
    except NoEngineError as error:
        pytest.fail(f"the image was NOT tested: {error}", pytrace=False)
    secret = pip_configuration(directory / "pip.conf")
    started = time.monotonic()
    engine.run(
        "build", "--network=host", f"--build-arg=BASE={base}",
        f"--build-arg=VERSION={__version__}", f"--secret=id=pip,src={secret}", *proxies(),
        f"--tag={IMAGE}", str(ROOT),
    )  # fmt: skip
    print(f"\nbuilt in {time.monotonic() - started:.0f} s on {base}")


@contextmanager
def container(
    engine: DockerEngine, name: str, image: str, *command: str, options: tuple[str, ...] = ()
) -> Iterator[Running]:
    """A container of the image for the time of the block, with as few rights as there are."""
    engine.run("run", "--detach", f"--name={name}", *_LOCKED_DOWN, *options, image, *command)
    try:
        yield Running(engine, name)
    finally:
        engine.run("rm", "--force", "--volumes", name)


@pytest.fixture(scope="module")
def model_servers(engine: DockerEngine, image: str) -> Iterator[dict[str, str]]:
    """Two engines of the same image, as compose.yaml runs them."""
    command = ("mock-engine", "--step-seconds", "0.02")
    with (
        container(engine, "inference-router-test-v1", image, *command) as v1,
        container(engine, "inference-router-test-v2", image, *command) as v2,
    ):
        yield {
            version: each.wait_said(r"listening on (http://\S+)")[1]
            for version, each in {"v1": v1, "v2": v2}.items()
        }


@contextmanager
def router(
    engine: DockerEngine, image: str, directory: Path, model_servers: dict[str, str]
) -> Iterator[tuple[Running, str, str]]:
    """The router between them, with its traffic and admin URLs."""
    admin = f"127.0.0.1:{free_port()}"
    document = {
        "server": {"listen": "127.0.0.1:0", "admin": admin, "workers": 2, "drainSeconds": 30},
        "store": "sqlite:///var/lib/inference-router/state.db",
        "routes": [
            {
                "name": "chat",
                "match": [{"path": "/v1/chat/completions"}],
                "versions": {name: {"endpoints": [url]} for name, url in model_servers.items()},
                "release": "v1",
                "initialWeights": {"v1": 50, "v2": 50},
                "health": {"path": "/health", "interval": "1s"},
            }
        ],
    }
    directory.chmod(0o755)
    (directory / "router.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    options = (f"--volume={directory}:/etc/inference-router:ro",
               f"--env=INFERENCE_ROUTER_URL=http://{admin}")  # fmt: skip
    with container(engine, "inference-router-test", image, options=options) as running:
        traffic = running.wait_said(r"traffic (http://[^\s,]+)")[1]
        running.wait_until(lambda: httpx.get(f"http://{admin}/readyz").status_code == 200)
        yield running, traffic, f"http://{admin}"


def test_the_image_is_small(engine: DockerEngine, image: str) -> None:
    size = int(engine.run("image", "inspect", "--format={{.Size}}", image))
    print(f"\n{image}: {size / 1e6:.0f} MB")
    assert size <= MAX_BYTES


def test_the_image_says_what_it_is_and_how_it_runs(engine: DockerEngine, image: str) -> None:
    config = json.loads(engine.run("image", "inspect", image))[0]["Config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "healthcheck"]
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert engine.run("run", "--rm", *_LOCKED_DOWN, image, "version") == __version__


def test_nothing_inside_builds_or_installs_software(engine: DockerEngine, image: str) -> None:
    look = (
        "import importlib.util, shutil\n"
        f"print([t for t in {TOOLS!r} if shutil.which(t)],"
        " [m for m in ('pip', 'setuptools') if importlib.util.find_spec(m)])"
    )
    options = ("--rm", *_LOCKED_DOWN, "--entrypoint=python")
    assert engine.run("run", *options, image, "-c", look) == "[] []"


def test_a_start_compiles_nothing(engine: DockerEngine, image: str) -> None:
    load = "import router.app.control, router.app.worker, router.app.configuration, router.cli"
    options = ("--rm", *_LOCKED_DOWN, "--entrypoint=python")
    ran = engine.ask("run", *options, image, "-v", "-c", load)
    loaded = re.findall(r"^# code object from '(.*)'$", ran.stderr, re.MULTILINE)
    assert len(loaded) > 300
    assert [each for each in loaded if not each.endswith(".pyc")] == []


def test_a_scanner_finds_every_locked_package_in_the_version_of_the_lock(
    engine: DockerEngine, image: str
) -> None:
    look = (
        "from importlib.metadata import distributions\n"
        "for d in distributions(): print(d.name.lower().replace('_', '-') + '==' + d.version)"
    )
    options = ("--rm", *_LOCKED_DOWN, "--entrypoint=python")
    found = set(engine.run("run", *options, image, "-c", look).split())
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9.-]+==[^ ]+) \\$", text, re.MULTILINE))
    assert f"inference-router=={__version__}" in found
    assert locked - found == set()


def test_it_serves_without_rights_on_a_file_system_that_it_cannot_write(
    engine: DockerEngine, image: str, model_servers: dict[str, str], tmp_path: Path
) -> None:
    with router(engine, image, tmp_path, model_servers) as (running, traffic, admin):
        answers = [
            httpx.post(f"{traffic}/v1/chat/completions", json=_CHAT, timeout=20) for _ in range(8)
        ]
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.headers["x-model-version"] for answer in answers} == {"v1", "v2"}
        assert httpx.get(f"{admin}/readyz").json()["ready"] is True
        running.wait_until(lambda: running.state()["Health"]["Status"] == "healthy")
        assert running.inside("id", "-u") == USER
        assert "Read-only file system" in running.inside("touch", "/opt/x", user="0")
        assert "state.db" in running.inside("ls", "/var/lib/inference-router").split()


def test_sigterm_lets_an_open_stream_finish_and_ends_with_0(
    engine: DockerEngine, image: str, model_servers: dict[str, str], tmp_path: Path
) -> None:
    with router(engine, image, tmp_path, model_servers) as (running, traffic, _):
        body = {**_CHAT, "stream": True, "max_tokens": 150}
        url = f"{traffic}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=30) as answer:
            chunks = answer.iter_bytes()
            received = next(chunks)
            stopping = engine.start("stop", "--time=60", running.name)
            received += b"".join(chunks)
        assert stopping.wait(60) == 0
        assert read_events(received)[-1] == "[DONE]"
        assert len(read_events(received)) > 150
        assert running.state()["ExitCode"] == 0
