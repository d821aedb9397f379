from pathlib import Path

import pytest
import yaml

from loadtests.scenarios.errors import LoadTestError
from loadtests.scenarios.profiles import PROFILES
from loadtests.scenarios.thresholds import DEFAULT_FILE, Latency, load_thresholds


def written(folder: Path, **changes: object) -> Path:
    """The default file with other values for every profile."""
    document = yaml.safe_load(DEFAULT_FILE.read_text())
    document["all"].update(changes)
    file = folder / "thresholds.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.mark.parametrize("profile", PROFILES)
def test_no_profile_forgives_a_failed_request(profile: str) -> None:
    limits = load_thresholds(DEFAULT_FILE, profile)
    assert (limits.error_ratio, limits.server_errors, limits.failed_changes) == (0, 0, 0)


def test_a_profile_replaces_what_holds_for_all(tmp_path: Path) -> None:
    file = written(tmp_path, loadRatio=0.5, latency={"chat": {"p95": 7}})
    assert load_thresholds(file, "soak").load_ratio == 0.5
    assert load_thresholds(file, "soak").latency == {"chat": Latency(p95=7)}
    assert load_thresholds(file, "short").load_ratio == 0.3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"errorRatio": "none"},
            r"profile short: Expected `float`, got `str` - at `\$.errorRatio`",
        ),
        ({"errorRatio": -1}, r"Expected `float` >= 0.* - at `\$.errorRatio`"),
        ({"errorratio": 0}, "unknown field `errorratio`"),
        ({"latency": {"chat": {"p90": 1}}}, "unknown field `p90`"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_place(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    file = written(tmp_path, **changes)
    with pytest.raises(LoadTestError, match=said) as raised:
        load_thresholds(file, "soak")  # another profile's mistake counts as well
    assert str(raised.value).startswith(str(file))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("all: {errorRatio: 0}", "missing required field"),
        ("profiles: {}", "missing required field `all`"),
        ("all: [", "while parsing"),
        ("- all", "Expected `object`"),
        ("", "Expected `object`"),
    ],
)
def test_a_file_that_is_none_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "thresholds.yaml"
    file.write_text(text)
    with pytest.raises(LoadTestError, match=said) as raised:
        load_thresholds(file, "short")
    assert "\n" not in str(raised.value)


def test_a_profile_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "thresholds.yaml"
    file.write_text(DEFAULT_FILE.read_text().replace("  short:", "  shrot:"))
    with pytest.raises(LoadTestError, match="no profile is called shrot; there are short, steady"):
        load_thresholds(file, "short")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match="No such file"):
        load_thresholds(tmp_path / "none.yaml", "short")
