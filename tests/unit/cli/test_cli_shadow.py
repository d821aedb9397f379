"""`shadow`: what it asks for, and how a shadow, its report and its pairs are shown."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.admin.documents import (
    ComparisonsDocument,
    ShadowReportDocument,
    ShadowStandingDocument,
)
from router.cli.client import AdminClient, Server
from router.cli.failures import ForeignError, RefusedError
from router.cli.shadow_documents import Estimate
from router.cli.shadow_report import share
from router.evaluation.noise import Conclusion
from tests.support.admin_api import CannedApi, canned_api, route, run, version

PATH = "/routes/chat/shadow"
EXPORT = f"{PATH}/export"
LINES = "application/x-ndjson"
SINCE = 1_790_000_000.0
IN_FORCE = {"version": "v3", "percent": 10.0, "by": "person"}
SET = ("shadow", "set", "chat", "v3=10")
DONE = {
    **route(versions=[version("v1", "stable", 100), version("v3", "shadow", 0)], shadow=IN_FORCE),
    "generation": 13,
    "applied": {"workers": ["0", "1"]},
    "repeated": False,
}
LIMITS = {
    "noisePercent": 5.0,
    "sampleBy": "request",
    "match": [{"path": "/chat"}],
    "includeStateful": False,
    "maxConcurrency": 32,
    "maxQueue": 256,
    "maxBodyBytes": 8_388_608,
    "maxResponseBytes": 8_388_608,
    "maxPerHour": None,
    "maxPairsPerSecond": 100.0,
    "timeoutSeconds": 120.0,
    "onCancel": "cancel",
    "credentials": {"mode": "keep", "header": "authorization"},
}


def estimate(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "samples": 4000, "pValue": None}


def field(conclusion: str, **parts: Any) -> dict[str, Any]:
    told = {"pairs": 4000, "twins": 200, "shadow": None, "twin": None, "beyondNoise": None}
    return {**told, "pValue": 0.01, "twinsNeeded": 50, "conclusion": conclusion, **parts}


def report(**more: Any) -> dict[str, Any]:
    """A report as the admin API tells it: v3 differs beyond noise."""
    document = {
        "route": "chat",
        "stable": "v1",
        "shadow": "v3",
        "since": SINCE,
        "pairs": 4010,
        "compared": 4000,
        "twins": 200,
        "twinsFailed": 0,
        "errors": {"other: timeout": 10},
        "errorRatio": estimate(0.0025, 0.001, 0.004),
        "verdicts": {"match": 3500, "mismatch": 400, "within_noise": 100, "error": 10},
        "any": field(
            "differs",
            shadow=estimate(0.131, 0.121, 0.142),
            twin=estimate(0.102, 0.07, 0.15),
            beyondNoise=estimate(0.029, 0.015, 0.043),
        ),
        "fields": {
            "text": field("within_noise", shadow=estimate(0.004, 0.0019, 0.0061)),
            "status": field("no_noise_floor"),
        },
        "latency": {"shadow": None, "twin": None},
        "firstToken": {"shadow": None, "twin": None},
        "tokens": {"pairs": 0, "primary": 0, "shadow": 0, "ratio": None},
        "conclusion": "differs",
        "smallestDetectable": 0.05,
        "summary": ["v3 differs from v1 in 13.1 %.", "So 2.9 % is beyond noise."],
        **more,
    }
    ShadowReportDocument.model_validate(document)
    return document


def standing(**more: Any) -> dict[str, Any]:
    document = {
        "route": "chat",
        "generation": 12,
        "shadow": IN_FORCE,
        "why": None,
        "override": {
            "version": "v3",
            "percent": 10.0,
            "noisePercent": 5.0,
            "holder": "alice",
            "reason": "is v3 as good?",
            "since": SINCE,
        },
        "step": None,
        "configured": {"version": "v2", "percent": 40.0},
        "copies": [],
        "limits": LIMITS,
        **more,
    }
    ShadowStandingDocument.model_validate(document)
    return document


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        api.answer("PUT", PATH, DONE)
        yield api


def words(output: str) -> list[str]:
    lines = [" ".join(line.split()) for line in output.splitlines()]
    return [line for line in lines if line and not line.startswith("──")]


# -- set and clear -----------------------------------------------------------------------------


def test_a_shadow_is_set_in_one_call_with_its_conditions(api: CannedApi) -> None:
    conditions = ("--if-generation", "12", "--idempotency-key", "k-7")
    result = run(api, *SET, "--noise", "5%", "--reason", "as good?", *conditions)
    [call] = api.calls
    assert (call.method, call.path) == ("PUT", f"/api/v1{PATH}")
    assert call.document == {
        "version": "v3",
        "percent": 10,
        "noisePercent": 5,
        "reason": "as good?",
    }
    assert (call.headers["if-match"], call.headers["idempotency-key"]) == ('"12"', "k-7")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "chat: v1 100 %, v3 0 %",
        "shadow: v3 gets copies of 10 % of the requests (set by a person)",
        "generation 13 is in force in every worker: 0, 1",
    ]


def test_a_shadow_is_cleared_with_its_reason_in_the_query(api: CannedApi) -> None:
    api.answer("DELETE", PATH, {**DONE, "shadow": None})
    result = run(api, "shadow", "clear", "chat", "--reason", "seen enough")
    assert api.calls[0].path == f"/api/v1{PATH}?reason=seen+enough"
    assert (result.exit_code, "shadow" in result.stdout) == (0, False)


def test_a_dry_run_needs_no_reason_and_tells_what_would_be_copied() -> None:
    told = {"dryRun": True, "generation": 12, "changes": [], "before": {}}
    with canned_api() as api:
        api.answer("PUT", PATH, {**told, "after": {"shadow": IN_FORCE}})
        result = run(api, *SET, "--dry-run")
        assert api.calls[0].path == f"/api/v1{PATH}?dryRun=true"
    assert result.stdout.splitlines() == [
        "dry run: no weight would change",
        "the shadow would go from none to v3 with 10 %",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("shadow", "set", "chat", "--reason", "r"),
        ("shadow", "set", "chat", "v3", "--reason", "r"),
        ("shadow", "set", "chat", "v3=101", "--reason", "r"),
        ("shadow", "set", "chat", "v3=0.005", "--reason", "r"),
        (*SET, "--noise", "some", "--reason", "r"),
        (*SET, "--noise", "1.125", "--reason", "r"),
        SET,
        ("shadow", "clear", "chat"),
        ("shadow", "comparisons", "chat", "0"),
        ("shadow", "comparisons", "chat", "7", "--verdict", "match"),
        ("shadow", "comparisons", "chat", "--limit", "101"),
    ],
)
def test_what_makes_no_sense_is_exit_2_and_nothing_is_sent(
    api: CannedApi, arguments: tuple[str, ...]
) -> None:
    assert run(api, *arguments).exit_code == 2
    assert api.calls == []


def test_workers_that_have_not_followed_end_it_with_1() -> None:
    with canned_api() as api:
        api.answer("PUT", PATH, {**DONE, "applied": {"workers": [], "missing": ["0"]}}, 202)
        result = run(api, *SET, "--reason", "r")
    assert (result.exit_code, "not known to be in force in: 0" in result.stderr) == (1, True)


# -- what is in force --------------------------------------------------------------------------


def test_what_is_in_force_is_shown_with_those_who_want_it_and_its_limits(api: CannedApi) -> None:
    api.answer("GET", PATH, standing())
    result = run(api, "shadow", "show", "chat")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = words(result.stdout)
    assert lines[:4] == [
        "route chat, shadow: v3 gets copies of 10 % of the requests (set by a person)",
        "who version percent why",
        "alice v3 10 % is v3 as good? (since 2026-09-21 14:13:20Z, noise 5 %)",
        "the configuration v2 40 %",
    ]
    assert 'match [{"path": "/chat"}]' in lines
    assert "maxPerHour none" in lines
    assert "sampleBy request" in lines


def test_what_became_of_the_copies_is_shown_by_version(api: CannedApi) -> None:
    v3 = {"version": "v3", "sampled": 120, "inFlight": 2, "answered": 100, "error": 3, "timeout": 5}
    v1 = {"version": "v1", "sampled": 6, "inFlight": 0, "answered": 6, "error": 0, "timeout": 0}
    dropped = {"concurrency": 9, "queue": 1}
    copies = [{**v3, "dropped": dropped}, {**v1, "dropped": {}}]
    api.answer("GET", PATH, standing(copies=copies))
    lines = words(run(api, "shadow", "show", "chat").stdout)
    begin = lines.index("version copies answered errors timeouts running dropped")
    assert lines[begin + 1 : begin + 3] == [
        "v3 120 100 3 5 2 9 concurrency, 1 queue",
        "v1 6 6 0 0 0 0",
    ]


def test_where_nothing_is_copied_it_says_why(api: CannedApi) -> None:
    nothing = standing(shadow=None, override=None, limits=None, why="v2 has 5 % of the traffic")
    api.answer("GET", PATH, nothing)
    lines = words(run(api, "shadow", "show", "chat").stdout)
    assert lines[0] == "route chat: nothing is copied; v2 has 5 % of the traffic"


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("person", "a person"),
        ("rollout", "a step of the rollout"),
        ("configuration", "the configuration"),
        ("somebody new", "somebody new"),
    ],
)
def test_a_route_is_shown_with_its_shadow(api: CannedApi, by: str, told: str) -> None:
    api.answer("GET", "/routes/chat", route(shadow={**IN_FORCE, "by": by}))
    lines = words(run(api, "routes", "chat").stdout)
    assert f"shadow: v3 gets copies of 10 % of the requests (set by {told})" in lines


# -- the report --------------------------------------------------------------------------------


def test_a_report_is_a_table_of_fields_then_counts_then_sentences(api: CannedApi) -> None:
    api.answer("GET", f"{PATH}/report", report())
    result = run(api, "shadow", "report", "chat")
    assert (result.exit_code, result.stderr) == (0, "")
    assert words(result.stdout) == [
        "chat: v3 beside v1 since 2026-09-21 14:13:20Z, 4010 pairs, 4000 of them compared, "
        "200 with a twin",
        "field shadow differs noise beyond noise conclusion",
        "any field 13.1 % (12.1 to 14.2) 10.2 % (7.0 to 15.0) 2.9 % (1.5 to 4.3) differs",
        "text 0.40 % (0.19 to 0.61) - - within noise",
        "status - - - no noise floor",
        "verdicts: 3500 match, 400 mismatch, 100 within_noise, 10 error",
        "errors: 10 other: timeout",
        "v3 differs from v1 in 13.1 %.",
        "So 2.9 % is beyond noise.",
    ]


@pytest.mark.parametrize("conclusion", [*Conclusion])
def test_every_conclusion_has_words(api: CannedApi, conclusion: Conclusion) -> None:
    api.answer("GET", f"{PATH}/report", report(any=field(conclusion.value), fields={}))
    row = words(run(api, "shadow", "report", "chat").stdout)[2]
    assert row.startswith("any field - - - ")
    assert "_" not in row


def test_what_a_model_server_said_cannot_steer_the_terminal(api: CannedApi) -> None:
    api.answer("GET", f"{PATH}/report", report(errors={"other: \x1b[2J\x9b": 1}))
    result = run(api, "shadow", "report", "chat")
    assert not {"\x1b", "\x9b"} & set(result.stdout)


shares = st.floats(-1, 1)


@given(shares, shares, shares)
def test_a_share_is_read_back_as_the_same_number(value: float, low: float, high: float) -> None:
    told = share(Estimate(value, low, high))
    numbers = told.replace("%", "").replace("(", "").replace(")", "").replace("to", "").split()
    for number, meant in zip(numbers, (value, low, high), strict=True):
        assert float(number) / 100 == pytest.approx(meant, abs=0.0005)


def test_no_report_yet_is_exit_1_with_its_reason(api: CannedApi) -> None:
    why = "route chat: nothing was compared yet; copies are made"
    api.refuse("GET", f"{PATH}/report", 404, title="There is no such thing", detail=why)
    result = run(api, "shadow", "report", "chat")
    assert (result.exit_code, result.stderr) == (1, f"There is no such thing: {why}\n")


# -- recorded pairs ----------------------------------------------------------------------------

ROW: dict[str, Any] = {
    "id": 7,
    "time": SINCE,
    "stable": "v1",
    "shadow": "v3",
    "verdict": "mismatch",
    "rule": "text.exact",
    "differing": ["text", "finish_reason"],
    "twinDiffering": None,
    "error": "",
    "requestId": "r-7",
    "generation": 12,
}


def test_pairs_are_listed_with_what_differed(api: CannedApi) -> None:
    failed = {**ROW, "id": 6, "verdict": "error", "rule": "", "differing": [], "error": "timeout"}
    document = {"comparisons": [ROW, failed], "next": 6}
    ComparisonsDocument.model_validate(document)
    api.answer("GET", f"{PATH}/comparisons", document)
    result = run(api, "shadow", "comparisons", "chat", "--verdict", "mismatch", "--before", "9")
    query = "verdict=mismatch&before=9&limit=20"
    assert api.calls[0].path == f"/api/v1{PATH}/comparisons?{query}"
    assert words(result.stdout) == [
        "id time shadow stable verdict rule differs in request",
        "7 2026-09-21 14:13:20Z v3 v1 mismatch text.exact text, finish_reason r-7",
        "6 2026-09-21 14:13:20Z v3 v1 error timeout r-7",
    ]
    assert result.stderr == "there are more: --before 6\n"


def test_one_pair_is_shown_as_it_was_recorded(api: CannedApi) -> None:
    api.answer("GET", f"{PATH}/comparisons/7", {"id": 7, "request": {"body": "\x1b[2J"}})
    result = run(api, "shadow", "comparisons", "chat", "7")
    assert json.loads(result.stdout) == {"id": 7, "request": {"body": "\x1b[2J"}}
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "path", "document"),
    [
        (("report", "chat"), f"{PATH}/report", report()),
        (("show", "chat"), PATH, standing()),
        (("comparisons", "chat"), f"{PATH}/comparisons", {"comparisons": [ROW], "next": None}),
        (("comparisons", "chat", "7"), f"{PATH}/comparisons/7", {"id": 7}),
    ],
)
def test_programs_get_what_the_server_tells(
    api: CannedApi, arguments: tuple[str, ...], path: str, document: dict[str, Any]
) -> None:
    api.answer("GET", path, document)
    assert json.loads(run(api, "shadow", *arguments, "-o", "json").stdout) == document


# -- the export --------------------------------------------------------------------------------

PAIRS = ({"id": 1, "text": "grüß\x1b[2J"}, {"id": 2, "text": "x" * 100_000})
BODY = b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in PAIRS)


def test_an_export_writes_a_document_on_each_line(api: CannedApi) -> None:
    api.answer("GET", EXPORT, BODY, media_type=LINES)
    result = run(api, "shadow", "export", "chat", "--verdict", "mismatch")
    assert api.calls[0].path == f"/api/v1{EXPORT}?verdict=mismatch"
    assert [json.loads(line) for line in result.stdout.splitlines()] == [*PAIRS]
    assert "\x1b" not in result.stdout


def test_an_export_to_a_file_is_as_it_came_and_for_nobody_else(
    api: CannedApi, tmp_path: Path
) -> None:
    api.answer("GET", EXPORT, BODY, media_type=LINES)
    file = tmp_path / "pairs.jsonl"
    result = run(api, "shadow", "export", "chat", "--file", str(file))
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (BODY, 0o600)
    assert result.stdout == f"2 pairs are in {file}\n"
    told = run(api, "shadow", "export", "chat", "--file", str(file), "-o", "json").stdout
    assert json.loads(told) == {"file": str(file), "pairs": 2}


def test_an_export_that_breaks_off_leaves_the_file_as_it_was(
    api: CannedApi, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text("an earlier one\n")
    api.answer("GET", EXPORT, BODY[:-1], media_type=LINES)
    result = run(api, "shadow", "export", "chat", "--file", str(file))
    assert (result.exit_code, file.read_text()) == (1, "an earlier one\n")
    assert "a last line that does not end" in result.stderr
    assert [*tmp_path.iterdir()] == [file]


def test_a_file_that_cannot_be_written_is_exit_1_and_named(api: CannedApi, tmp_path: Path) -> None:
    api.answer("GET", EXPORT, BODY, media_type=LINES)
    file = tmp_path / "nowhere" / "pairs.jsonl"
    result = run(api, "shadow", "export", "chat", "--file", str(file))
    assert (result.exit_code, result.stderr) == (
        1,
        f"cannot write {file}: No such file or directory\n",
    )


def test_an_export_that_is_refused_says_why(api: CannedApi) -> None:
    api.refuse("GET", EXPORT, 403, title="The token may not do this", detail="operator")
    result = run(api, "shadow", "export", "chat")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "The token may not do this: operator" in result.stderr


@pytest.mark.parametrize("body", [b"not JSON\n", b"\xff\n"])
def test_a_line_that_is_no_document_is_told_so(api: CannedApi, body: bytes) -> None:
    api.answer("GET", EXPORT, body, media_type=LINES)
    result = run(api, "shadow", "export", "chat")
    assert (result.exit_code, "a line of the answer is no JSON" in result.stderr) == (1, True)


def test_a_line_is_read_up_to_a_bound(api: CannedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.cli.client.MAX_ANSWER_BYTES", 1_000)
    api.answer("GET", EXPORT, b"[" * 100_000, media_type=LINES)
    client = AdminClient(Server(api.url))
    with pytest.raises(ForeignError, match="a line of more than"):
        take_lines(client)
    client.close()


def test_an_answer_that_is_no_lines_is_foreign_and_a_problem_is_a_refusal(api: CannedApi) -> None:
    client = AdminClient(Server(api.url))
    with pytest.raises(ForeignError):
        take_lines(client)
    api.refuse("GET", EXPORT, 503, title="busy")
    with pytest.raises(RefusedError):
        take_lines(client)
    client.close()


def take_lines(client: AdminClient) -> list[bytes]:
    with client.lines("routes", "chat", "shadow", "export") as lines:
        return list(lines)
