"""The admin port, asked as people and programs ask it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.admin.tokens import Secret, read_credentials
from router.config import Config
from router.errors import ConfigError
from tests.support.admin import Admin, digest

pytestmark = pytest.mark.anyio

SECRET = "correct horse"
DIGEST = digest(SECRET)


def config(**sections: Any) -> Config:
    return Config.model_validate(
        {
            "routes": [
                {
                    "name": "chat",
                    "match": [{"path": "/v1/chat/completions"}],
                    "release": "v2",
                    "versions": {
                        "v1": {"endpoints": ["http://10.0.0.1:8000"]},
                        "v2": {"endpoints": ["http://10.0.0.2:8000"], "model": "llama-0901"},
                    },
                    "initialWeights": {"v1": "97.25", "v2": "2.75"},
                }
            ],
            **sections,
        }
    )


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    admin = Admin(config())
    await admin.plane.start(admin.workers)
    yield admin
    await admin.client.aclose()


# -- probes ------------------------------------------------------------------------------------


async def test_control_is_live_even_when_nothing_is_ready(admin: Admin) -> None:
    admin.workers.leave("w0")
    admin.workers.leave("w1")
    response = await admin.get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "live"})


async def test_ready_says_which_generation_every_worker_serves(admin: Admin) -> None:
    response = await admin.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "generation": 1,
        "workers": {"w0": 1, "w1": 1},
        "reasons": [],
        "warnings": [],
    }


async def test_not_ready_is_503_with_the_reasons(admin: Admin) -> None:
    for worker in ("w0", "w1"):
        admin.workers.report_health(worker, healthy=False, reason="refused")
    response = await admin.get("/readyz")
    assert response.status_code == 503
    assert response.json()["reasons"] == [
        "route chat: version v2 has no healthy endpoint",
        "route chat: version v1 has no healthy endpoint",
    ]


async def test_what_one_worker_cannot_reach_is_a_warning(admin: Admin) -> None:
    admin.workers.report_health("w0", healthy=False, reason="refused")
    response = await admin.get("/readyz")
    assert response.status_code == 200
    assert response.json()["warnings"] == [
        "route chat: version v2 has no healthy endpoint in worker w0",
        "route chat: version v1 has no healthy endpoint in worker w0",
    ]


# -- metrics -----------------------------------------------------------------------------------


async def test_metrics_are_text_that_prometheus_reads(admin: Admin) -> None:
    response = await admin.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert 'model_weight{role="canary",route="chat",version="v2"} 0.0275\n' in response.text
    assert 'router_snapshot_generation{worker="w1"} 1.0\n' in response.text


async def test_metrics_are_openmetrics_for_those_who_prefer_it(admin: Admin) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    response = await admin.get("/metrics", accept=accept)
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


async def test_metrics_are_compressed_for_those_who_accept_it(admin: Admin) -> None:
    plain = await admin.get("/metrics", accept_encoding="identity")
    packed = await admin.get("/metrics", accept_encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text


# -- routes ------------------------------------------------------------------------------------


async def test_a_route_shows_weights_roles_and_the_health_of_endpoints(admin: Admin) -> None:
    admin.workers.report_health("w1", healthy=False, reason="refused")
    response = await admin.get("/api/v1/routes/chat")
    assert response.headers["etag"] == '"1"'
    half_healthy = {
        "healthy": False,
        "healthyWorkers": 1,
        "workers": 2,
        "reasons": ["refused"],
        "ejections": 0,
        "ejectedUntil": None,
        "slowStart": None,
        "idleSeconds": None,
    }
    assert response.json() == {
        "generation": 1,
        "name": "chat",
        "stable": "v1",
        "override": None,
        "past": [],
        "rejected": None,
        "shadow": None,
        "admission": {
            "maxInFlight": 1024,
            "maxQueue": 1024,
            "workers": 2,
            "inFlight": 0,
            "queued": 0,
            "refused": {},
            "shed": {},
            "shedShare": 0.0,
        },
        "versions": [
            {
                "name": "v2",
                "role": "canary",
                "weight": 2.75,
                "wanted": None,
                "model": "llama-0901",
                "inFlight": 0,
                "drainUntil": None,
                "warmUntil": None,
                "lineage": {},
                "endpoints": [{"url": "http://10.0.0.2:8000", **half_healthy}],
                "tripped": None,
                "panic": False,
                "circuit": None,
            },
            {
                "name": "v1",
                "role": "stable",
                "weight": 97.25,
                "wanted": None,
                "model": None,
                "inFlight": 0,
                "drainUntil": None,
                "warmUntil": None,
                "lineage": {},
                "endpoints": [{"url": "http://10.0.0.1:8000", **half_healthy}],
                "tripped": None,
                "panic": False,
                "circuit": None,
            },
        ],
    }


async def test_all_routes_are_listed_with_their_generation(admin: Admin) -> None:
    response = await admin.get("/api/v1/routes")
    assert response.headers["etag"] == '"1"'
    assert [route["name"] for route in response.json()["routes"]] == ["chat"]


async def test_an_endpoint_that_nobody_has_looked_at_is_not_healthy() -> None:
    admin = Admin(config())
    admin.workers.following = False
    await admin.plane.start(admin.workers)
    response = await admin.get("/api/v1/routes/chat")
    endpoint = response.json()["versions"][0]["endpoints"][0]
    assert (endpoint["healthy"], endpoint["workers"]) == (False, 0)
    await admin.client.aclose()


async def test_the_start_page_points_to_everything(admin: Admin) -> None:
    links = (await admin.get("/")).json()["links"]
    for place in links.values():
        assert (await admin.get(place)).status_code == 200


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "detail"),
    [("/api/v1/routes/nope", "no route is called 'nope'"), ("/nowhere", "Not Found")],
)
async def test_what_is_not_there_is_a_problem_document(
    admin: Admin, path: str, detail: str
) -> None:
    response = await admin.get(path)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:inference-router:not-found",
        "title": "There is no such thing",
        "status": 404,
        "detail": detail,
        "instance": path,
    }


async def test_a_method_that_does_not_fit_is_a_problem_that_names_those_that_do(
    admin: Admin,
) -> None:
    response = await admin.client.delete("/api/v1/routes/chat")
    assert response.status_code == 405
    assert response.json()["type"] == "urn:inference-router:method-not-allowed"
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


async def test_a_fault_tells_nothing_of_the_inside(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(admin.plane, "readiness", fail)
    response = await admin.get("/readyz")
    assert response.status_code == 500
    assert response.json()["type"] == "urn:inference-router:internal"
    assert "the inside" not in response.text


# -- who may ask -------------------------------------------------------------------------------


@pytest.fixture
async def guarded() -> AsyncIterator[Admin]:
    token = {"name": "ci", "role": "viewer", "sha256": DIGEST}
    admin = Admin(config(auth={"tokens": [token]}))
    await admin.plane.start(admin.workers)
    yield admin
    await admin.client.aclose()


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {SECRET}", f"Bearer {DIGEST}"]
)
async def test_with_tokens_the_api_asks_for_one(guarded: Admin, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    response = await guarded.client.get("/api/v1/routes", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["type"] == "urn:inference-router:unauthenticated"


async def test_a_known_token_opens_the_api(guarded: Admin) -> None:
    response = await guarded.get("/api/v1/routes", authorization=f"Bearer {SECRET}")
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/"])
async def test_probes_and_metrics_ask_for_no_token(guarded: Admin, path: str) -> None:
    assert (await guarded.get(path)).status_code == 200


async def test_tokens_are_rotated_by_a_reload(guarded: Admin) -> None:
    other = digest("battery staple")
    guarded.content = config(auth={"tokens": [{"name": "ci", "role": "viewer", "sha256": other}]})
    await guarded.plane.reload()
    old = await guarded.get("/api/v1/routes", authorization=f"Bearer {SECRET}")
    new = await guarded.get("/api/v1/routes", authorization="Bearer battery staple")
    assert (old.status_code, new.status_code) == (401, 200)


async def test_a_digest_that_cannot_be_read_any_more_admits_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = {"name": "ci", "role": "viewer", "sha256File": str(tmp_path / "gone")}
    admin = Admin(config(auth={"tokens": [gone]}))
    await admin.plane.start(admin.workers)
    with caplog.at_level(logging.ERROR):
        response = await admin.get("/api/v1/routes", authorization=f"Bearer {SECRET}")
    assert response.status_code == 401
    assert "nobody can use the admin API" in caplog.text
    await admin.client.aclose()


# -- where tokens come from --------------------------------------------------------------------


def tokens(**source: str) -> Any:
    return config(auth={"tokens": [{"name": "ci", "role": "admin", **source}]}).auth


def test_a_digest_is_read_from_the_file_the_environment_or_the_configuration(
    tmp_path: Path,
) -> None:
    (tmp_path / "digest").write_text(f"sha256:{DIGEST}\n")
    environment = {"CI_DIGEST": DIGEST.upper()}
    for source in (
        {"sha256": DIGEST},
        {"sha256Env": "CI_DIGEST"},
        {"sha256File": str(tmp_path / "digest")},
    ):
        (credential,) = read_credentials(tokens(**source), environment)
        assert credential.fits(Secret(SECRET))
        assert not credential.fits(Secret(DIGEST))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"sha256Env": "MISSING"}, "environment variable MISSING is not set"),
        ({"sha256Env": "EMPTY"}, "holds no SHA-256 digest"),
        ({"sha256Env": "PLAIN"}, "holds no SHA-256 digest"),
        ({"sha256File": "/nonexistent/digest"}, "cannot read /nonexistent/digest"),
    ],
)
def test_a_digest_that_is_not_there_is_refused_and_not_shown(
    source: dict[str, str], reason: str
) -> None:
    environment = {"EMPTY": "", "PLAIN": "hunter2"}
    with pytest.raises(ConfigError, match=reason) as refused:
        read_credentials(tokens(**source), environment)
    assert "hunter2" not in str(refused.value)
