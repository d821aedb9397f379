"""The command: whose limits are played, what is shown, and which exit status that gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router.cli import main
from router.config import Config, compile_snapshot, load
from router.dataplane.server import DataPlaneSettings
from router.http1.rules import RULES, ClientRules
from router.selftest import NATIVE_ONLY, Report, StageError, Verdict, suite
from router.selftest.stage import choose_route, settings_of, staged_route
from router.snapshot import FULL, Rule

EXAMPLES = Path(__file__).parents[3] / "config"
CASES = suite(RULES, 10.0)
LENIENT = next(case for case in CASES if not case.strict and case.name not in NATIVE_ONLY)
STRICT = next(case for case in CASES if case.strict and case.name not in NATIVE_ONLY)
NATIVE = next(case for case in CASES if case.strict and case.name in NATIVE_ONLY)


def report(door: str, *failed: object) -> Report:
    against = ("it was \x1b[31mforwarded",)
    return Report(
        door, "chat", tuple(Verdict(c, against if c in failed else (), b"") for c in CASES)
    )


@pytest.fixture
def configuration() -> Config:
    return load(EXAMPLES / "full.yaml")


def test_only_what_a_case_needs_of_a_route_gives_way_to_the_recorder(configuration: Config) -> None:
    route = compile_snapshot(configuration, 1).routes[0]
    staged = staged_route(route, 4711)
    (version,) = staged.versions
    assert [each.port for each in version.endpoints] == [4711]
    assert (version.weight_bp, version.model) == (FULL, None)
    assert staged.rules == (Rule(path_prefix="/"),)
    assert (staged.shadow, staged.health, staged.header_routes) == (None, None, ())
    kept = (staged.limits, staged.timeouts, staged.retry, staged.balance)
    assert kept == (route.limits, route.timeouts, route.retry, route.balance)


def test_every_limit_of_the_server_section_reaches_the_throw_away_router(
    configuration: Config,
) -> None:
    rules = ClientRules(
        max_head_bytes=4096, max_fields=9, max_target_bytes=300, max_chunk_line_bytes=99,
        max_trailer_bytes=98, min_body_bytes_per_s=97, trusted_proxies=3,
    )  # fmt: skip
    limits = {
        "maxHeadBytes": 4096, "maxFields": 9, "maxTargetBytes": 300, "maxChunkLineBytes": 99,
        "maxTrailerBytes": 98,
    }  # fmt: skip
    document = configuration.model_dump(mode="json", by_alias=True, include={"routes"})
    document["server"] = {
        "limits": limits, "minBodyBytesPerSecond": 97, "trustedProxies": 3, "headTimeout": "4s",
        "bodyTimeout": "5s", "keepAliveTimeout": "6s", "door": "asgi",
    }  # fmt: skip
    settings = settings_of(Config.model_validate({**document, "routes": []}))
    assert settings.rules == rules
    times = (settings.head_timeout_s, settings.body_timeout_s, settings.keep_alive_s)
    assert times == (4.0, 5.0, 6.0)
    assert settings.door == "asgi"


def test_the_defaults_are_those_of_the_data_plane() -> None:
    server = Config.model_validate({"routes": []}).server
    assert server.client_rules == RULES == DataPlaneSettings().rules
    assert server.body_timeout_s == DataPlaneSettings().body_timeout_s
    assert server.head_timeout_s == DataPlaneSettings().head_timeout_s
    assert server.write_timeout_s == DataPlaneSettings().write_timeout_s
    assert server.shed_delay_s == DataPlaneSettings().shed_delay_s
    assert server.upstream_idle_timeout_s == DataPlaneSettings().upstream_idle_s


@pytest.mark.parametrize(
    ("field", "value"),
    [("maxHeadBytes", "2MiB"), ("maxHeadBytes", 10), ("maxTargetBytes", "17KiB"),
     ("maxFields", 0), ("maxChunkLineBytes", 1), ("maxTrailerBytes", "1MiB")],
)  # fmt: skip
def test_a_limit_out_of_bounds_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        Config.model_validate({"server": {"limits": {field: value}}, "routes": []})


def test_a_route_that_is_not_there_is_named_with_those_that_are(configuration: Config) -> None:
    table = compile_snapshot(configuration, 1)
    assert choose_route(table, None) is table.routes[0]
    assert choose_route(table, table.routes[-1].name) is table.routes[-1]
    with pytest.raises(StageError, match=f"no route nowhere: give one of {table.routes[0].name}"):
        choose_route(table, "nowhere")


def test_only_a_strict_case_that_is_promised_fails_the_suite() -> None:
    assert report("native").ok
    assert report("native", LENIENT).ok
    assert not report("native", STRICT).ok
    assert not report("native", NATIVE).ok
    assert report("asgi", NATIVE).ok


def test_the_groups_tell_every_case_once() -> None:
    tallies = report("asgi", LENIENT, NATIVE).groups
    sums = [sum(getattr(tally, name) for tally in tallies.values())
            for name in ("passed", "failed", "not_promised")]  # fmt: skip
    assert sums == [len(CASES) - 2, 1, 1]


def test_a_failure_shows_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.selftest.run", lambda *_: report("native", STRICT))
    shown = CliRunner().invoke(main, ["selftest"])
    assert shown.exit_code == 1
    assert f"FAILED {STRICT.group.value}: {STRICT.name}, {STRICT.rule}" in shown.stdout
    assert repr(STRICT.raw)[:60] in shown.stdout
    assert "\x1b" not in shown.stdout

    document = json.loads(CliRunner().invoke(main, ["selftest", "-o", "json"]).stdout)
    (failed,) = [each for each in document["cases"] if not each["passed"]]
    assert (document["ok"], failed["sent"]) == (False, STRICT.raw.decode("latin-1"))


def test_a_suite_without_failures_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.selftest.run", lambda *_: report("native", LENIENT))
    assert CliRunner().invoke(main, ["selftest"]).exit_code == 0


def test_a_file_that_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("server: {trustedProxies: -1}\nroutes: []\n")
    shown = CliRunner().invoke(main, ["selftest", "-c", str(tmp_path / "bad.yaml")])
    assert shown.exit_code == 1
    assert "server.trustedProxies" in shown.stderr
