"""All cases, by where a message can go wrong: its head, its body, its size and pace, its answer."""

from router.http1.rules import ClientRules
from router.selftest.case import Case
from router.selftest.suite.answers import ANSWERS
from router.selftest.suite.bodies import BODIES
from router.selftest.suite.bounds import bounds
from router.selftest.suite.heads import HEADS
from router.selftest.suite.hops import hops


def suite(rules: ClientRules, head_timeout_s: float) -> tuple[Case, ...]:
    """The cases for a router with these limits; what waits for a deadline comes last."""
    return (*HEADS, *BODIES, *hops(rules.trusted_proxies), *ANSWERS, *bounds(rules, head_timeout_s))
