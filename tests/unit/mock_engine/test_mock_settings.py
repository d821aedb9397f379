"""Settings, their command line, and the words of an answer; pure."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from router.mock_engine import EngineSettings, Faults
from router.mock_engine.arguments import create_parser, main, settings_from
from router.mock_engine.wording import compose, estimate_tokens


def never_drawn() -> float:
    raise AssertionError("the answer must not depend on chance")


def parse(*arguments: str) -> EngineSettings:
    return settings_from(create_parser().parse_args(arguments))


def test_without_options_the_defaults_hold() -> None:
    assert parse() == EngineSettings()


def test_every_setting_and_every_fault_is_an_option() -> None:
    settings = parse(
        *("--name", "v2", "--model", "llama", "--model", "qwen", "--time-scale", "0"),
        *("--max-running", "3", "--varied", "--error-rate", "0.25", "--error-status", "503"),
        *("--truncate-by", "abort", "--health", "refuse"),
    )
    assert settings == EngineSettings(
        name="v2",
        models=("llama", "qwen"),
        time_scale=0.0,
        max_running=3,
        varied=True,
        faults=Faults(error_rate=0.25, error_status=503, truncate_by="abort", health="refuse"),
    )


@pytest.mark.parametrize("wrong", [("--error-rate", "2"), ("--max-running", "0"), ("--what",)])
def test_a_wrong_option_is_a_usage_error(
    wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_an_address_that_cannot_be_bound_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--host", "192.0.2.1"])  # TEST-NET-1 (RFC 5737): nobody's address
    assert ended.value.code == 1
    assert "mock-engine:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "two words"},
        {"name": "né"},
        {"name": "a\r\nb"},
        {"default_output_tokens": 0},
        {"time_scale": -1},
        {"kv_tokens": 0},
        {"models": ["a list"]},
    ],
)
def test_settings_that_make_no_sense_do_not_exist(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        EngineSettings(**wrong)


def test_an_engine_without_models_serves_any_and_lists_its_name() -> None:
    settings = EngineSettings(name="v1")
    assert settings.serves("whatever")
    assert settings.listed_models == ("v1",)


def test_an_answer_has_as_many_tokens_as_allowed_and_begins_with_the_name() -> None:
    answer = compose(EngineSettings(name="v1"), 5, never_drawn)
    assert len(answer.tokens) == 5
    assert answer.text.split()[0] == "v1"
    assert answer.finish_reason == "length"


def test_an_answer_without_a_limit_has_the_default_length_and_stops() -> None:
    answer = compose(EngineSettings(default_output_tokens=7), None, never_drawn)
    assert (len(answer.tokens), answer.finish_reason) == (7, "stop")


def test_a_given_text_is_the_answer_of_every_engine() -> None:
    text = "  Paris is the\ncapital. "
    for name in ("v1", "v2"):
        answer = compose(EngineSettings(name=name, text=text), None, never_drawn)
        assert (answer.text, answer.finish_reason) == (text, "stop")


def test_a_given_text_is_cut_at_the_limit() -> None:
    answer = compose(EngineSettings(text="one two three"), 2, never_drawn)
    assert (answer.text, answer.finish_reason) == ("one two", "length")


def test_a_share_of_the_answers_ends_in_another_word() -> None:
    settings = EngineSettings(name="v1", text="all is well", changed_share=0.1)
    draws = Random(7)
    answers = [compose(settings, None, draws.random).text for _ in range(2_000)]
    changed = [text for text in answers if text != "all is well"]
    assert abs(len(changed) - 200) < 6 * 14  # 6 standard deviations; a few draw the same word
    assert all(text.startswith("all is ") for text in changed)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_of_changed_answers_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="changed_share must be 0 to 1"):
        EngineSettings(changed_share=share)


def test_varied_answers_follow_the_draw() -> None:
    settings = EngineSettings(name="v1", varied=True)
    assert compose(settings, 3, lambda: 0.0).text == "v1 the the"
    assert compose(settings, 3, lambda: 0.999).text == "v1 it it"


@pytest.mark.parametrize(("characters", "tokens"), [(0, 1), (1, 1), (4, 1), (5, 2), (400, 100)])
def test_four_characters_are_a_token(characters: int, tokens: int) -> None:
    assert estimate_tokens(characters) == tokens
