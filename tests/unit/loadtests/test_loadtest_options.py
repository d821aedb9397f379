import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from loadtests.scenarios.__main__ import _options
from loadtests.scenarios.plan import KINDS, PLAN_VARIABLE, Plan, plan_from
from loadtests.scenarios.profiles import PROFILES

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "soap"], "invalid choice: 'soap'"),
        (["--kinds", "chat,kserv"], "'kserv' is not one of chat, conversation"),
        (["--seconds", "0"], "must be more than 0"),
        (["--peak", "inf"], "must be more than 0, not inf"),
        (["--processes", "0"], "--processes must be at least 1"),
        (["--engine", "error-rate"], "'error-rate' is not NAME=VALUE"),
        (["--admin", "http://a"], "--admin needs --target"),
        (["--target", "http://a", "--change-weights"], "needs --target and --admin"),
        (["--target", "http://a", "--engine", "a=b"], "not for a --target"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        _options(arguments)
    assert raised.value.code == 2
    assert said in capsys.readouterr().err


def test_everybody_asks_unless_kinds_are_chosen() -> None:
    assert _options([]).kinds == KINDS
    assert _options(["--kinds", "stream,chat"]).kinds == ("stream", "chat")


def test_the_program_that_judges_never_loads_what_patches_the_standard_library() -> None:
    code = "import loadtests.scenarios.__main__, sys; print('gevent' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"
    assert "gevent" not in sys.modules


def test_locust_by_hand_has_the_steady_profile_and_else_the_one_it_was_given() -> None:
    assert plan_from({}).profile == PROFILES["steady"]
    given = msgspec.json.encode(Plan(PROFILES["soak"])).decode()
    assert plan_from({PLAN_VARIABLE: given}).profile == PROFILES["soak"]


@pytest.mark.parametrize("kinds", [(), ("chat", "chats")])
def test_a_plan_for_nobody_is_refused(kinds: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"chats|at least one"):
        Plan(PROFILES["short"], kinds=kinds)
