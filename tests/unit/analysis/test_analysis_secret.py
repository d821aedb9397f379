"""Secret values: shown nowhere, and taken out of what is kept."""

from __future__ import annotations

import msgspec
import pytest

from router.analysis.secret import Secret, redact

SECRETS = {"token": Secret('s3cr/t "x"'), "pin": Secret("4711"), "empty": Secret("")}


def test_a_secret_does_not_show_itself() -> None:
    secret = SECRETS["token"]
    assert "s3cr" not in f"{secret} {secret!r} {SECRETS}"
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    assert secret.reveal() == 's3cr/t "x"'


@pytest.mark.parametrize(
    "text",
    [
        'refused: Bearer s3cr/t "x"',
        "GET /q?token=s3cr%2Ft%20%22x%22",
        "GET /q?token=s3cr%2Ft+%22x%22",
        '{"token": "s3cr/t \\"x\\""}',
    ],
)
def test_a_secret_is_taken_out_of_a_text_in_every_form(text: str) -> None:
    assert "s3cr" not in redact(text, SECRETS)
    assert "*****" in redact(text, SECRETS)


def test_a_secret_is_taken_out_of_a_value_however_deep() -> None:
    value = {'a s3cr/t "x"': [1, 4711, ("4711",), None, {"k": 's3cr/t "x"'}]}
    assert redact(value, SECRETS) == {
        "a *****": [1, "*****", ["*****"], None, {"k": "*****"}],
    }


def test_without_secrets_nothing_changes() -> None:
    assert redact(("a", 1), {"empty": Secret("")}) == ("a", 1)


def test_a_secret_that_holds_another_is_taken_out_whole() -> None:
    secrets = {"a": Secret("abc"), "b": Secret("abcdef")}
    assert redact("abcdef abc", secrets) == "***** *****"
