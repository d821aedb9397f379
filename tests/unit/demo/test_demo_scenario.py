"""Scenarios, and the requests that clients make of them."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest
import yaml

from router import config
from router.demo import CANARY
from router.demo.scenario import Scenario, Version
from router.demo.traffic import Ask, Tally, asks

ENDPOINTS = {"v1": "http://127.0.0.1:9001", "v2": "http://127.0.0.1:9002"}


def test_the_configuration_is_valid_and_has_the_weights_of_the_scenario(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text(yaml.safe_dump(CANARY.configuration(ENDPOINTS, tmp_path)))
    assert config.check([file]).ok
    (route,) = config.compile_snapshot(config.load(file), 1).routes
    assert {version.name: version.weight_bp for version in route.versions} == {
        "v1": 9_500,
        "v2": 500,
    }
    assert route.stable.name == "v1"


def test_shares_that_are_not_a_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="100 %"):
        Scenario((Version("v1", 90), Version("v2", 5)))


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


def test_a_conversation_that_changes_its_version_is_noticed() -> None:
    tally = Tally()
    for version in ("v1", "v1", "v2"):
        tally.on_answer(Ask({}, "conversation-1"), version)
    tally.on_answer(Ask({}, "conversation-2"), "v2")
    assert tally.moved == {"conversation-1"}
    assert not tally.free
