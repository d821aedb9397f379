from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from loadtests.scenarios.figures import Figures, Kind
from loadtests.scenarios.judge import Verdict, judge
from loadtests.scenarios.memory import Sample, Samples
from loadtests.scenarios.plan import Plan
from loadtests.scenarios.profiles import Profile
from loadtests.scenarios.tally import Told, Weights
from loadtests.scenarios.thresholds import DEFAULT_FILE, load_thresholds

LIMITS = load_thresholds(DEFAULT_FILE, "steady")
PLAN = Plan(Profile("x", ((0, 10), (10, 10)), streams=1, change_every_s=1), admin="http://a")


def kind(name: str = "chat", method: str = "POST", **values: Any) -> Kind:
    usual: dict[str, Any] = {"count": 100, "failed": 0, "least": 1, "most": 9}
    times = {"p50": 5.0, "p95": 8.0, "p99": 9.0}
    return Kind(type=method, name=name, **{**usual, **times, **values})


STREAM = kind("stream", "SSE", count=5)
TOLD = Told(
    begun=105,
    ended=105,
    changes=10,
    answers=[("chat", 1, "v1", 50), ("chat", 1, "v2", 50)],
    weights=[Weights("chat", 1, {"v1": 50, "v2": 50})],
)


def samples(*sizes: int) -> Samples:
    return Samples(
        [Sample(float(second), "control", 1, size, 0.0) for second, size in enumerate(sizes)]
    )


def missed(
    *kinds: Kind,
    plan: Plan = PLAN,
    sampled: Samples | None = None,
    limits: Any = LIMITS,
    **told: Any,
) -> list[str]:
    found = msgspec.structs.replace(TOLD, **told)
    figures = Figures(10.0, list(kinds) or [kind(), STREAM], [], found)
    verdicts = judge(plan, figures, sampled or samples(*[100] * 90), limits)
    return named(verdicts, ok=False)


def named(verdicts: Iterable[Verdict], *, ok: bool | None) -> list[str]:
    return [verdict.what for verdict in verdicts if verdict.ok is ok]


def test_a_good_run_misses_nothing() -> None:
    assert missed() == []


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"server_errors": 1}, "answers with 5xx"),
        ({"begun": 106}, "requests without an end"),
        ({"changes": 2}, "changes of weights"),
        ({"failed_changes": 1}, "failed changes"),
        ({"moved": 1}, "conversations that moved"),
        ({"unfitting": 12}, "answers of unknown weights"),
    ],
)
def test_each_count_is_judged(told: dict[str, int], what: str) -> None:
    assert missed(**told) == [what]


def test_one_failed_request_is_missed() -> None:
    assert missed(kind(failed=1), STREAM) == ["error ratio"]
    assert missed(kind(), kind("stream", "SSE", failed=1)) == ["error ratio"]


def test_a_failed_request_within_the_allowed_share_is_not() -> None:
    limits = msgspec.structs.replace(LIMITS, error_ratio=0.01)
    assert missed(kind(failed=1), STREAM, limits=limits) == []
    assert missed(kind(failed=2), STREAM, limits=limits) == ["error ratio"]


def test_a_run_that_did_not_make_its_load_proves_nothing() -> None:
    assert missed(kind(count=89), STREAM) == ["load"]
    assert missed(kind(count=90), STREAM) == []
    assert missed(kind()) == ["streams"]
    assert missed(kind(count=0), kind("stream", "SSE", count=0)) == [
        "error ratio", "load", "streams",
    ]  # fmt: skip


def test_latencies_are_judged_by_kind() -> None:
    assert missed(kind(p95=1001, p99=1999), STREAM) == ["chat p95"]
    assert missed(kind(p95=999, p99=2001), STREAM) == ["chat p99"]
    first = kind("time to first token", "MEASURE ms", p95=1001)
    assert missed(kind(), STREAM, first) == ["time to first token p95"]


def test_a_share_out_of_the_bound_is_missed_for_both_versions() -> None:
    answers = [("chat", 1, "v1", 90), ("chat", 1, "v2", 10)]
    assert missed(answers=answers) == ["share of chat v1", "share of chat v2"]


def test_an_answer_by_a_version_without_weight_is_missed() -> None:
    found = missed(weights=[Weights("chat", 1, {"v1": 100, "v2": 0})])
    assert "answers by versions without weight" in found


def test_weights_that_were_never_told_are_missed() -> None:
    assert missed(weights=[]) == ["shares"]


def test_memory_that_is_not_flat_and_a_process_that_ended_are_missed() -> None:
    assert missed(sampled=samples(*[100] * 70, *[104] * 20)) == []
    assert missed(sampled=samples(*[100] * 70, *[106] * 20)) == ["memory of control"]
    both = Samples([*samples(*[100] * 90).rows, Sample(1.0, "worker w0", 2, 1, 0.0)])
    assert missed(sampled=both) == ["ended processes"]


def test_what_cannot_be_judged_is_said_and_fails_nothing() -> None:
    plan = msgspec.structs.replace(PLAN, admin=None)
    figures = Figures(10.0, [kind(), STREAM], [], msgspec.structs.replace(TOLD, weights=[]))
    verdicts = judge(plan, figures, None, LIMITS)
    assert named(verdicts, ok=False) == []
    assert named(verdicts, ok=None) == ["changes of weights", "shares", "memory"]
    short = judge(PLAN, msgspec.structs.replace(figures, told=TOLD), samples(100), LIMITS)
    assert named(short, ok=None) == ["memory of control"]
