"""How a rollout begins, begins again, and ends.

Whatever ends it takes its runs, warm-up, header routes and shadow with it.
"""

from typing import Any, Final

from router.rollouts import runs, warmups
from router.rollouts.effects import Action, RunKind
from router.rollouts.phases import Happening, Phase, Reason, next_phase
from router.rollouts.rollout import Rollout
from router.rollouts.spec import BlueGreenSpec
from router.rollouts.stage import Stage, stage_after
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
    "stage": None,
    "looks": 0,
}


def begin(turn: Turn, target: str, happening: Happening, why: str) -> None:
    """Begin a rollout to `target`: nothing has traffic but the stable version."""
    former = turn.state.rollout
    next_phase(turn.phase, happening)
    fast = _skips(turn, target, happening)
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
            steps_digest=turn.spec.digest,
            full=fast is not None,
            stage=first_stage(turn, skips=fast is not None),
            message=f"{target} is on its way: {why}",
        ),
    )
    turn.give(0)
    skips = f", without steps: {fast}" if fast else ""
    turn.note(Action.STARTED, f"{why}{skips}", stable=turn.state.stable, target=target)


def _skips(turn: Turn, target: str, happening: Happening) -> str | None:
    """Why a version needs no steps to become stable again; None: it does."""
    past = turn.state.past
    if target in past and past.index(target) < turn.spec.rollback_window:
        return "it was stable within the rollback window"
    if happening is Happening.RETRIED or not isinstance(turn.spec.strategy, BlueGreenSpec):
        return None  # what was given up has to prove itself again
    return "it was stable and is still warm" if turn.state.is_warm(target, turn.now) else None


def first_stage(turn: Turn, *, skips: bool = False) -> Stage | None:
    """Where a blue-green rollout begins; with `skips` right before the switch."""
    if not isinstance(turn.spec.strategy, BlueGreenSpec):
        return None
    return Stage.SWITCH if skips else Stage.HEALTH


def rewind(turn: Turn, happening: Happening, why: str, **mood: Any) -> None:
    """Give the traffic back and go to the first step."""
    _let_go(turn, why)
    turn.move(happening, message=why, **mood)
    turn.update(
        **_FROM_THE_START
        | {
            "stage": first_stage(turn),
            "step_s": turn.now,
            "progress_s": turn.now,
            "steps_digest": turn.spec.digest,
        }
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
    end(turn, happening, reason, why)
    turn.give(0)
    turn.change(rejected=refused(turn, turn.rollout.release))
    held = "" if turn.state.override is None else "; a person holds the weights as they are"
    turn.note(Action.ABORTED, why + held, target=turn.rollout.target, **evidence)


def withdraw(turn: Turn) -> None:
    """End it because the version that is stable is the one that should be."""
    why = f"{turn.state.stable} is stable and stays it"
    end(turn, Happening.WITHDRAWN, Reason.WITHDRAWN, why)
    turn.update(release=turn.spec.release)
    turn.give(0)
    turn.note(Action.WITHDRAWN, why, target=turn.rollout.target)


def promote(turn: Turn) -> None:
    """The target becomes stable with all traffic; what was stable can be gone back to."""
    former, target = turn.state.stable, turn.rollout.target
    end(turn, Happening.COMPLETED, Reason.PROMOTED, f"{target} is stable")
    turn.update(step=len(turn.spec.canary.steps))
    make_stable(turn, target)
    turn.change(rejected=refused(turn, turn.rollout.release))
    turn.note(Action.PROMOTED, f"{target} is stable", former=former, target=target)


def make_stable(turn: Turn, version: str) -> None:
    """All traffic to a version; the one that was stable can be gone back to, and is kept warm."""
    state = turn.state
    others = [name for name in state.past if name not in (state.stable, version)]
    past = tuple(others) if version == state.stable else (state.stable, *others)[:MAX_PAST]
    warm = {name: until for name, until in state.warm.items() if turn.now < until and name in past}
    strategy = turn.spec.strategy
    if version != state.stable and isinstance(strategy, BlueGreenSpec) and strategy.keep_warm_s:
        warm[state.stable] = turn.now + strategy.keep_warm_s
    turn.change(stable=version, weights={version: FULL}, past=past, warm=warm)


def _let_go(turn: Turn, why: str) -> None:
    runs.forget(turn, *RunKind, why=why)
    warmups.forget(turn, why)


def end(turn: Turn, happening: Happening, reason: Reason, why: str) -> None:
    """End what is under way: nothing of it is left but its record."""
    _let_go(turn, why)
    turn.move(happening, reason, why)
    turn.update(**_FROM_THE_START, finished_s=turn.now)


def refused(turn: Turn, release: str | None) -> str | None:
    """The release that must not start by itself: it failed, or a person chose another version."""
    return release if release != turn.state.stable else None


def step_passed(turn: Turn) -> None:
    """Go on to the next step."""
    if turn.phase is Phase.PAUSED:
        turn.move(Happening.PAUSE_ENDED)
    turn.move(Happening.STEP_PASSED)
    turn.update(
        step=turn.rollout.step + 1, step_s=turn.now, progress_s=turn.now, gates_passed=(), gate=None
    )


def stage_passed(turn: Turn) -> None:
    """Go on to the next stage of a blue-green rollout; after the last the target is stable."""
    stage = turn.rollout.stage
    assert stage is not None, "only called for a blue-green rollout"
    if turn.phase is Phase.PAUSED:
        turn.move(Happening.PAUSE_ENDED)
    if stage is Stage.POST_PROMOTION:
        promote(turn)
        return
    turn.move(Happening.STEP_PASSED)
    turn.update(
        stage=stage_after(stage),
        looks=0,
        step_s=turn.now,
        progress_s=turn.now,
        gates_passed=(),
        gate=None,
    )
