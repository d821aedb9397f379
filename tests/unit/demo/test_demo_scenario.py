"""Scenarios, and the requests that clients make of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import yaml

from router import config
from router.demo import CANARY
from router.demo.scenario import Act, Scenario, Version
from router.demo.traffic import asks
from router.rollouts.effects import Action

ENDPOINTS = {f"v{number}": f"http://127.0.0.1:900{number}" for number in (1, 2, 3)}


@pytest.mark.parametrize("release", ["v1", "v2", "v3"])
def test_the_configuration_is_valid_and_the_first_release_is_stable(
    tmp_path: Path, release: str
) -> None:
    file = tmp_path / "router.yaml"
    file.write_text(yaml.safe_dump(CANARY.configuration(ENDPOINTS, tmp_path, release)))
    report = config.check([file])
    assert report.ok, report
    loaded = config.load(file)
    assert loaded.routes[0].release == release
    (route,) = config.compile_snapshot(loaded, 1).routes
    assert route.stable.name == release
    assert route.stable.weight_bp == 10_000


def test_the_releases_differ_in_one_word(tmp_path: Path) -> None:
    before, after = (CANARY.configuration(ENDPOINTS, tmp_path, name) for name in ("v1", "v2"))
    assert before != after
    after["routes"][0]["release"] = "v1"
    assert before == after


def test_a_release_is_judged_as_a_shadow_and_at_every_share_but_the_last(tmp_path: Path) -> None:
    route = CANARY.configuration(ENDPOINTS, tmp_path, "v1")["routes"][0]
    steps = route["strategy"]["canary"]["steps"]
    kinds = [next(iter(step)) for step in steps]
    judged = ["setShadow", "analysis"] + ["setWeight", "analysis"] * 3
    assert kinds == [*judged, "setWeight", "pause"]
    assert [step["setWeight"] for step in steps if "setWeight" in step] == [5, 25, 50, 100]


def test_a_release_that_is_no_version_is_refused() -> None:
    with pytest.raises(ValueError, match="no version is called v9"):
        Scenario((Version("v1"),), (Act("v9", Action.PROMOTED),))


def test_a_first_share_too_small_to_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="too few requests"):
        replace(CANARY, requests_per_s=10.0)


def test_requests_are_answers_streams_and_turns_in_the_mix_of_the_scenario() -> None:
    sample = list(islice(asks(CANARY, Random(1)), 2_000))
    assert {ask.body["model"] for ask in sample} == {CANARY.model}
    streams = sum(bool(ask.body.get("stream")) for ask in sample)
    turns = sum(ask.conversation is not None for ask in sample)
    assert (streams / 2_000, turns / 2_000) == pytest.approx((0.4, 0.1), abs=0.03)


def test_a_conversation_is_over_after_four_turns() -> None:
    turns = Counter(ask.conversation for ask in islice(asks(CANARY, Random(1)), 2_000))
    del turns[None]
    unfinished = [count for count in turns.values() if count != 4]
    assert max(turns.values()) == 4
    assert len(unfinished) <= 6  # those that were open at the end
