"""Raw HTTP/1.1 cases, played against a router: what must not pass does not, what must does.

Glossary:
    case      the bytes that a client sends, what the model server answers, what must come of it
    suite     all cases, for the limits that a router is configured with
    wire      a strict reading of messages, with nothing of `router.http1`: no bug hides in both
    recorder  the model server: it keeps what came, and answers as the case says
    play      one case from its first byte to the verdict
    stage     a throw-away router with somebody's configuration
    promises  what the asgi door cannot keep, and why
    report    the verdicts by group

After each case a plain request goes through a connection of its own, and through the same one
where that stays open: a case that leaves a poisoned connection behind fails.
"""

from router.selftest.case import Case
from router.selftest.play import Player, Verdict
from router.selftest.promises import NATIVE_ONLY
from router.selftest.recorder import Recorder
from router.selftest.report import Report
from router.selftest.stage import StageError, run
from router.selftest.suite import suite

__all__ = [
    "NATIVE_ONLY",
    "Case",
    "Player",
    "Recorder",
    "Report",
    "StageError",
    "Verdict",
    "run",
    "suite",
]
