"""Audit entries and rollouts, as the demo tells them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from router.demo.checks import CHECKS, last_value, measured
from router.demo.rollout import Entry, Progress, fetch_entries, fetch_progress, read_progress
from router.demo.telling import told
from router.rollouts.effects import Action

pytestmark = pytest.mark.anyio

ROLLOUT: dict[str, Any] = {
    "phase": "Progressing",
    "reason": None,
    "target": "v2",
    "weight": 25.0,
    "step": 4,
    "steps": [{}] * 8,
}
ENTRY: dict[str, Any] = {
    "sequence": 7,
    "time": 100.5,
    "action": "rollout.weightSet",
    "reason": "v2 gets 5 % of the traffic",
    "evidence": {"weight_bp": 500},
}


def metrics(**values: str) -> dict[str, Any]:
    return {
        "metrics": {
            name.replace("_", "-"): {"measurements": [{"phase": "Failed", "value": value}]}
            for name, value in values.items()
        }
    }


def test_a_decision_is_told_with_the_values_that_led_to_it() -> None:
    evidence = metrics(error_ratio="[0.1875]", p95_latency="[0.971]", p95_first_token="[-0.004]")
    line = told(Entry(1, 1.0, Action.ABORTED, "analysis Failed", evidence))
    assert line == (
        "ROLLED BACK: analysis Failed [errors 18.8 % (NOT < 5 %), "
        "p95 0.97 x stable (< 2.00 x stable), TTFT p95 -4 ms (< +250 ms)]"
    )


def test_a_decision_without_values_is_told_by_its_reason() -> None:
    assert told(Entry(1, 1.0, Action.WEIGHT_SET, "v2 gets 5 %")) == "weight: v2 gets 5 %"


def test_an_entry_of_an_unknown_kind_is_told_by_its_name() -> None:
    assert told(Entry(1, 1.0, "weights.set", "by hand")) == "weights.set: by hand"


@pytest.mark.parametrize("action", [Action.STEP_PASSED, Action.ANALYSIS_STARTED])
def test_what_says_nothing_new_is_not_told(action: Action) -> None:
    assert told(Entry(1, 1.0, action, "step 1 of 8 has passed")) is None


@pytest.mark.parametrize("value", ["", "[]", "NaN", "[NaN]", "[1, 2]", '["1"]', "{", "1"])
def test_what_is_no_number_is_no_value(value: str) -> None:
    assert last_value({"measurements": [{"value": value}]}) is None
    assert measured(metrics(error_ratio=value)) == ""


def test_the_newest_number_counts() -> None:
    values = ["[0.5]", "[0.25]", "[]"]
    assert last_value({"measurements": [{"value": value} for value in values]}) == 0.25


def test_a_value_at_its_limit_is_bad_as_it_is_for_the_router() -> None:
    limit = CHECKS[0].limit
    assert CHECKS[0].document()["successCondition"] == f"result[0] < {limit}"
    assert "NOT <" in measured(metrics(error_ratio=f"[{limit}]"))


def test_a_rollout_is_a_sentence() -> None:
    assert read_progress(ROLLOUT).sentence == "Progressing: v2 at 25 %, step 4 of 8"
    paused = read_progress({**ROLLOUT, "phase": "Paused", "reason": "CanaryPauseStep"})
    assert paused.sentence == "Paused (CanaryPauseStep): v2 at 25 %, step 4 of 8"
    ended = read_progress({**ROLLOUT, "phase": "Healthy", "reason": "Promoted", "step": None})
    assert ended.sentence == "Healthy (Promoted): v2 at 25 %"
    assert Progress().sentence == "Healthy: nothing is on its way"


def admin(answer: httpx.Response | Exception) -> httpx.AsyncClient:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        assert request.url.params.get("after", "6") == "6"
        return answer

    return httpx.AsyncClient(base_url="http://admin", transport=httpx.MockTransport(handle))


async def test_entries_above_a_number_are_read() -> None:
    async with admin(httpx.Response(200, json={"entries": [ENTRY]})) as client:
        (entry,) = await fetch_entries(client, "chat", 6)
    assert entry == Entry(7, 100.5, Action.WEIGHT_SET, ENTRY["reason"], {"weight_bp": 500})


async def test_an_entry_without_evidence_has_none() -> None:
    document = {"entries": [{**ENTRY, "evidence": None}]}
    async with admin(httpx.Response(200, json=document)) as client:
        (entry,) = await fetch_entries(client, "chat", 6)
    assert entry.evidence == {}


@pytest.mark.parametrize("answer", [httpx.Response(503), httpx.ConnectError("away")])
async def test_nothing_is_known_while_control_is_away(answer: httpx.Response | Exception) -> None:
    async with admin(answer) as client:
        assert await fetch_entries(client, "chat", 6) == []
        assert await fetch_progress(client, "chat") is None
