"""The admin API of a running router keeps to its own description, whatever anybody sends it.

schemathesis makes good and bad calls of every operation out of the OpenAPI document, and looks at
the answers: no 5xx, a status, media type and document that are described, nothing accepted that the
schema refuses.  The same calls every time; `make fuzz FUZZ="admin_api 180"` makes others.

The calls are made up while tests are collected, which takes 6 s of a processor: test_api_schema.py
has it done in a process of its own, once, where each process of a whole run would do it for itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from router.admin import openapi
from router.admin.application import API
from router.admin.operation import RANKS
from router.admin.table import OPERATIONS
from tests.support.admin import SECRETS, TEMPLATE, plain_route, tokens, walking_route
from tests.support.routers import document, running_router

EXAMPLES: Final = int(os.environ.get("API_EXAMPLES", "0"))
"""Calls of an operation in a search by `make fuzz`; 0: the few of a test run."""
OF_ADMIN: Final = EXAMPLES or 6
OF_OTHERS: Final = EXAMPLES or 2

BODIES: Final = {
    "Weights": {"weights": {"v1": 95, "v2": 5}, "reason": "an example"},
    "Why": {"reason": "an example"},
    "Back": {"reason": "an example", "force": False},
    "Switch": {"reason": "an example", "to": "v2", "force": False},
    "StartWhy": {"reason": "an example", "to": "v2"},
    "ShadowWish": {"reason": "an example", "version": "v2", "percent": 10, "noisePercent": 5},
    "Question": {"path": "/chat", "headers": {"x": "y"}, "body": {"model": "m"}},
}
# What JSON Schema cannot say: weights sum to 100, a reason stands in one of two places, a
# version is one of the route's, `before` and `after` exclude each other.
BEYOND_SCHEMAS: Final = {
    "setWeights",
    "releaseWeights",
    "setShadow",
    "clearShadow",
    "switchRoute",
    "startRollout",
    "listAuditEntries",
}
NEEDED: Final = {one.name: RANKS[one.role] for one in OPERATIONS}


@cache
def description() -> dict[str, Any]:
    return openapi.document(OPERATIONS, API)


def pointed() -> dict[str, Any]:
    """The description, with routes that are there and bodies that make sense to start from."""
    described = deepcopy(description())
    del described["paths"]["/events"]  # endless; tests/unit/admin/test_admin_events.py
    # Seconds of processor time each; tests/unit/admin/test_admin_restart.py.
    del described["paths"]["/restart"]
    for methods in described["paths"].values():
        for operation in methods.values():
            parameters = operation["parameters"]
            # A key that comes again with another call is refused: that is its purpose.
            parameters[:] = [one for one in parameters if one["name"] != "Idempotency-Key"]
            for parameter in parameters:
                if parameter["name"] == "route" and parameter["in"] == "path":
                    parameter["schema"]["enum"] = ["chat", "walk", "nope"]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                example = BODIES.get(content["schema"]["$ref"].rpartition("/")[2])
                if example is not None:
                    content["example"] = example
    return described


def schema_for(examples: int, *, everything: bool) -> OpenApiSchema:
    schema = schemathesis.openapi.from_dict(pointed(), config=SchemathesisConfig())
    schema.config.generation.update(deterministic=not EXAMPLES, max_examples=examples)
    # Every value of every schema once: what is wrong with a call is judged alike for all roles.
    schema.config.phases.coverage.enabled = everything
    # A generation that is none, in If-Match, is 412.
    schema.config.checks.positive_data_acceptance.expected_statuses = ["2xx", "404", "409", "412"]
    return schema


def searched(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


load_all_checks()
of_admin = schema_for(OF_ADMIN, everything=True)
of_operator = schema_for(OF_OTHERS, everything=False)
of_viewer = schema_for(OF_OTHERS, everything=False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the API of a router with one worker."""
    config = document(plain_route(), walking_route(), workers=1)
    config |= {"analysisTemplates": [TEMPLATE], "auth": {"tokens": tokens()}}
    with running_router(tmp_path_factory.mktemp("router"), config) as router:
        router.wait_ready()
        yield f"{router.admin}{API}"
        assert "Traceback" not in router.log


def call(case: schemathesis.Case[Any], served: str, role: str) -> None:
    """Make the call as that role and look at the answer."""
    name = case.operation.definition.raw["operationId"]
    excluded = [ignored_auth]  # tests/unit/admin/test_admin_roles.py; guesses are limited
    allowed = RANKS[role] >= NEEDED[name]
    forces = isinstance(case.body, dict) and case.body.get("force") and role != "admin"
    if not allowed or forces or name in BEYOND_SCHEMAS:
        excluded.append(positive_data_acceptance)
    headers = {"authorization": f"Bearer {SECRETS[role]}"}
    answer = case.call_and_validate(base_url=served, headers=headers, excluded_checks=excluded)
    if not allowed and case.method == case.operation.method.upper():  # not its OPTIONS and the like
        # The end of a line is in no name: there is no such place, for anybody.
        nowhere = "%0A" in str(case.path_parameters)
        assert answer.status_code == (404 if nowhere else 403)


# One function for each role: schemathesis makes a test of it for each operation.
@of_admin.parametrize()
@searched(OF_ADMIN)
def test_every_call_of_an_admin_is_answered_as_described(
    case: schemathesis.Case[Any], served: str
) -> None:
    call(case, served, "admin")


@of_operator.parametrize()
@searched(OF_OTHERS)
def test_every_call_of_an_operator_is_answered_as_described(
    case: schemathesis.Case[Any], served: str
) -> None:
    call(case, served, "operator")


@of_viewer.parametrize()
@searched(OF_OTHERS)
def test_every_call_of_a_viewer_is_answered_as_described(
    case: schemathesis.Case[Any], served: str
) -> None:
    call(case, served, "viewer")
