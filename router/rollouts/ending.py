"""How a rollout begins, begins again, and ends.

Whatever ends it takes its runs, header routes and shadow with it.
"""

from typing import Any, Final

from router.rollouts import runs
from router.rollouts.effects import Action, RunKind
from router.rollouts.phases import Happening, Phase, Reason, next_phase
from router.rollouts.rollout import Rollout
from router.rollouts.state import MAX_PAST
from router.rollouts.turn import Turn
from router.snapshot import FULL

_FROM_THE_START: Final[dict[str, Any]] = {
    "step": 0,
    "weight_bp": 0,
    "full": False,
    "gate": None,
    "gates_passed": (),
    "header_routes": (),
    "shadow": None,
}


def begin(turn: Turn, target: str, happening: Happening, why: str) -> None:
    """Begin a rollout to `target`: nothing has traffic but the stable version."""
    former = turn.state.rollout
    next_phase(turn.phase, happening)
    fast = _is_within_window(turn, target)
    turn.change(
        rejected=None,
        rollout=Rollout(
            number=former.number + 1 if former is not None else 1,
            target=target,
            release=turn.spec.release,
            started_s=turn.now,
            attempt_s=turn.now,
            step_s=turn.now,
            progress_s=turn.now,
            steps_digest=turn.spec.canary.digest,
            full=fast,
            message=f"{target} is on its way: {why}",
        ),
    )
    turn.give(0)
    skips = ", without steps: it was stable within the rollback window" if fast else ""
    turn.note(Action.STARTED, f"{why}{skips}", stable=turn.state.stable, target=target)


def _is_within_window(turn: Turn, target: str) -> bool:
    past = turn.state.past
    return target in past and past.index(target) < turn.spec.rollback_window


def rewind(turn: Turn, happening: Happening, why: str, **mood: Any) -> None:
    """Give the traffic back and go to the first step."""
    runs.forget(turn, *RunKind, why=why)
    turn.move(happening, message=why, **mood)
    turn.update(
        **_FROM_THE_START,
        step_s=turn.now,
        progress_s=turn.now,
        steps_digest=turn.spec.canary.digest,
    )
    turn.give(0)


def retry(turn: Turn, why: str) -> None:
    """Try an aborted release again, from the first step."""
    rewind(turn, Happening.RETRIED, f"retry: {why}")
    rollout = turn.rollout
    turn.change(rejected=None)
    turn.update(
        attempt=rollout.attempt + 1,
        attempt_s=turn.now,
        finished_s=None,
        release=turn.spec.release,
    )
    turn.note(Action.RETRIED, why, target=rollout.target, attempt=rollout.attempt + 1)


def abort(turn: Turn, happening: Happening, reason: Reason, why: str, **evidence: Any) -> None:
    """Give all traffic back to the stable version; the release is not started again by itself."""
    _end(turn, happening, reason, why)
    turn.give(0)
    turn.change(rejected=_refused(turn))
    held = "" if turn.state.override is None else "; a person holds the weights as they are"
    turn.note(Action.ABORTED, why + held, target=turn.rollout.target, **evidence)


def withdraw(turn: Turn) -> None:
    """End it because the version that is stable is the one that should be."""
    why = f"{turn.state.stable} is stable and stays it"
    _end(turn, Happening.WITHDRAWN, Reason.WITHDRAWN, why)
    turn.update(release=turn.spec.release)
    turn.give(0)
    turn.note(Action.WITHDRAWN, why, target=turn.rollout.target)


def promote(turn: Turn) -> None:
    """The target becomes stable with all traffic; what was stable can be gone back to."""
    former, target = turn.state.stable, turn.rollout.target
    _end(turn, Happening.COMPLETED, Reason.PROMOTED, f"{target} is stable")
    turn.update(step=len(turn.spec.canary.steps))
    others = (name for name in turn.state.past if name not in (former, target))
    turn.change(stable=target, weights={target: FULL}, past=(former, *others)[:MAX_PAST])
    turn.change(rejected=_refused(turn))
    turn.note(Action.PROMOTED, f"{target} is stable", former=former, target=target)


def _end(turn: Turn, happening: Happening, reason: Reason, why: str) -> None:
    runs.forget(turn, *RunKind, why=why)
    turn.move(happening, reason, why)
    turn.update(**_FROM_THE_START, finished_s=turn.now)


def _refused(turn: Turn) -> str | None:
    """The release that must not start by itself: it failed, or a person chose another version."""
    release = turn.rollout.release
    return release if release != turn.state.stable else None


def step_passed(turn: Turn) -> None:
    """Go on to the next step."""
    if turn.phase is Phase.PAUSED:
        turn.move(Happening.PAUSE_ENDED)
    turn.move(Happening.STEP_PASSED)
    turn.update(
        step=turn.rollout.step + 1, step_s=turn.now, progress_s=turn.now, gates_passed=(), gate=None
    )
