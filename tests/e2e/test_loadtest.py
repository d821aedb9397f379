"""The load test runs from end to end, and notices what it is there to notice.

Which figures it finds is nobody's pass or fail here: its thresholds for time are loose.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from tests.support.engines import running_engine
from tests.support.routers import RouterProcess, document, route, running_router

ROOT: Final = Path(__file__).parents[2]
DEADLINE_S: Final = 240.0
TOKEN: Final = "s3cret-of-a-test"  # no secret


def command(folder: Path, *options: str) -> list[str]:
    own = ["--profile", "short", "--out", str(folder)]
    return [sys.executable, "-m", "loadtests.scenarios", *own, *options]


def ran(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *options),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def figures(folder: Path) -> Any:
    return json.loads((folder / "figures.json").read_text())


def all_said(folder: Path) -> str:
    return "".join(file.read_text(errors="replace") for file in folder.iterdir())


def test_a_short_run_of_two_processes_keeps_to_its_thresholds_and_leaves_a_report(
    tmp_path: Path,
) -> None:
    run = ran(tmp_path, "--processes", "2", "--seconds", "8")
    assert run.returncode == 0, run.stdout + run.stderr + (tmp_path / "summary.md").read_text()
    assert "thresholds kept to" in run.stdout
    found = figures(tmp_path)
    kinds = {kind["name"]: kind for kind in found["kinds"]}
    assert {"chat", "conversation", "embeddings", "kserve", "stream", "change"} <= set(kinds)
    assert {"time to first token", "gap between chunks", "tokens per second"} <= set(kinds)
    assert kinds["gap between chunks"]["count"] > kinds["stream"]["count"]
    told = found["told"]
    assert told["begun"] == told["ended"] > 0
    assert {version for _, _, version, _ in told["answers"]} == {"v1", "v2"}
    assert len({generation for _, generation, _, _ in told["answers"]}) > 1
    page = (tmp_path / "summary.md").read_text()
    assert page.startswith("# Load test `short`: kept to its thresholds")
    counts = re.findall(
        r"^\| (?:chat|embeddings|kserve) v\d \| (\d+) \| (\d+) \|", page, re.MULTILINE
    )
    assert len(counts) == 6
    assert all(at_clients == at_router for at_clients, at_router in counts)
    assert "share of chat v2" in page
    assert "worker w1" in page
    assert "locust worker 2" in (tmp_path / "processes.csv").read_text()
    assert "<html" in (tmp_path / "report.html").read_text()
    assert "time to first token" in (tmp_path / "locust_stats.csv").read_text()
    assert "engine v1" in (tmp_path / "processes.csv").read_text()


def test_engines_that_fail_make_it_fail_and_it_says_how(tmp_path: Path) -> None:
    run = ran(tmp_path, "--seconds", "4", "--engine", "error-rate=0.4")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "MISSED error ratio: " in run.stdout
    assert "MISSED answers with 5xx: " in run.stdout
    assert "HTTP 500" in run.stdout
    assert "missed" in (tmp_path / "summary.md").read_text().splitlines()[0]


@contextmanager
def running_target(folder: Path, role: str) -> Iterator[RouterProcess]:
    """A router of somebody else, whose token has this role."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens = [{"name": "ci", "role": role, "sha256": digest}]
    with ExitStack() as stack:
        urls = {name: stack.enter_context(running_engine(name)).url for name in ("v1", "v2")}
        chat = {**route(**urls), "sticky": {"by": [{"header": "x-conversation"}]}}
        config = {**document(chat, workers=1), "auth": {"tokens": tokens}}
        yield stack.enter_context(running_router(folder, config))


def options_for(router: RouterProcess) -> list[str]:
    where = ["--target", router.traffic, "--admin", router.admin, "--change-weights"]
    return [*where, "--model", "m", "--sticky-header", "x-conversation"]


def test_a_target_is_asked_with_tokens_and_gets_its_weights_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    kinds = "chat,stream,conversation"
    with running_target(tmp_path, "operator") as router:
        options = [*options_for(router), "--kinds", kinds, "--seconds", "4"]
        run = ran(out, *options, LOADTEST_TOKEN=TOKEN, LOADTEST_ADMIN_TOKEN=TOKEN)
        weight = router.metric('model_weight{role="stable",route="chat",version="v1"}')
    page = (out / "summary.md").read_text()
    assert run.returncode == 0, run.stdout + run.stderr + page
    assert weight == 1
    assert figures(out)["told"]["changes"] >= 1
    assert "| memory | not our processes | ± 5 % | not judged |" in page
    assert "share of chat v2" in page
    assert TOKEN not in all_said(out) + run.stdout + run.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "no-such-option=1"], "loadtest: v1 ended with 2: "),
        (["--thresholds", "none.yaml"], "loadtest: none.yaml: "),
        (["--target", "http://127.0.0.1:9", "--admin", "http://127.0.0.1:9"], "/metrics: "),
    ],
)
def test_what_cannot_run_is_one_clear_line(tmp_path: Path, options: list[str], said: str) -> None:
    run = ran(tmp_path, *options)
    assert run.returncode == 1
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_signal_ends_every_process(tmp_path: Path) -> None:
    with subprocess.Popen(command(tmp_path), cwd=ROOT, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + DEADLINE_S
        while not (tmp_path / "locust.log").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)  # polled: a folder tells nobody what it got
        started = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGTERM)
        assert running.wait(DEADLINE_S) == 130
    _, left = psutil.wait_procs(started, timeout=20)
    assert left == []
    assert len(started) >= 6  # two engines, supervisor, control, two workers
