import os
import subprocess
import sys

import pytest

from loadtests.bench.measure import Meter, cpu_seconds, on_core, process_tree


def test_the_cpu_clock_of_a_process_is_its_user_and_system_time() -> None:
    sum(range(2_000_000))
    times = os.times()
    assert cpu_seconds(os.getpid()) == pytest.approx(times.user + times.system, abs=0.05)


def test_a_process_that_is_gone_has_no_cpu_and_no_tree() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert cpu_seconds(child.pid) is None
    assert process_tree(child.pid) == []


def test_a_child_born_inside_the_window_counts() -> None:
    meter = Meter(lambda: process_tree(os.getpid()), None, core=0)
    meter.start()
    work = "sum(range(3_000_000)); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        spent = cpu_seconds(child.pid)
        usage = meter.stop()
        child.communicate(b"\n")
    assert spent is not None
    assert usage.tree_s >= spent


def test_a_pin_ends_with_its_block() -> None:
    before = os.sched_getaffinity(0)
    with on_core(min(before)):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before
