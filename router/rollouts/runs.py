"""Analysis runs of a rollout: begun, judged, stopped.

At most one inline and one background run are open at a time.
"""

from collections.abc import Iterator
from typing import Final

from router.analysis.phases import COMPLETED, OnDeadline
from router.analysis.phases import Phase as RunPhase
from router.rollouts.effects import Action, RunKind, StartRun, StopRun
from router.rollouts.events import Observation, RunOutcome
from router.rollouts.rollout import RunRef, clip
from router.rollouts.spec import Analysis, AnalysisRef
from router.rollouts.turn import Turn

FAILED: Final = frozenset({RunPhase.FAILED, RunPhase.ERROR})
"""Outcomes that end a rollout."""

UNDECIDED: Final = COMPLETED - FAILED - {RunPhase.SUCCESSFUL}
"""Outcomes that leave it to a person."""

_ON_DEADLINE: Final = {
    OnDeadline.PAUSE: RunPhase.INCONCLUSIVE,
    OnDeadline.ABORT: RunPhase.FAILED,
    OnDeadline.PROMOTE: RunPhase.SUCCESSFUL,
}


def open_runs(turn: Turn) -> Iterator[tuple[RunKind, RunRef]]:
    """The rollout's runs, completed or not."""
    for kind in RunKind:
        ref: RunRef | None = getattr(turn.rollout, kind)
        if ref is not None:
            yield kind, ref


def start_inline(turn: Turn, step: Analysis) -> None:
    """Begin the analysis that the current step or stage waits for."""
    rollout = turn.rollout
    id_ = turn.next_id(rollout.stage or f"step{rollout.step + 1}")
    _start(turn, RunKind.INLINE, id_, step.ref, step)


def start_background(turn: Turn) -> None:
    """Begin the analysis beside the steps when its first step has come."""
    background = turn.spec.canary.background
    rollout = turn.rollout
    if background is None or rollout.background is not None or rollout.full:
        return
    if background.starting_step <= rollout.step < len(turn.spec.canary.steps):
        _start(turn, RunKind.BACKGROUND, turn.next_id("background"), background.ref)


def _start(
    turn: Turn, kind: RunKind, id_: str, ref: AnalysisRef, step: Analysis | None = None
) -> None:
    turn.update(**{kind: RunRef(id=id_)})
    names = ", ".join(ref.templates)
    turn.note(Action.ANALYSIS_STARTED, f"{kind} analysis of {names}", run=id_)
    turn.emit(
        StartRun(
            id=id_,
            kind=kind,
            step=turn.rollout.step,
            ref=ref,
            subject=turn.rollout.target,
            baseline=turn.state.stable,
            deadline_s=step.deadline_s if step is not None else None,
            on_deadline=step.on_deadline if step is not None else None,
        )
    )


def take_outcomes(turn: Turn, observation: Observation) -> None:
    """Write down what has become of the runs; a completed one never changes again."""
    for kind, ref in open_runs(turn):
        outcome = observation.runs.get(ref.id)
        if ref.outcome is None and outcome is not None:
            _take(turn, kind, ref, outcome)


def _take(turn: Turn, kind: RunKind, ref: RunRef, outcome: RunOutcome) -> None:
    phase, message = outcome.phase, outcome.message
    if outcome.on_deadline is not None:
        phase = _ON_DEADLINE[outcome.on_deadline]
        message = f"no verdict by its deadline, then {outcome.on_deadline}: {message}"
    if phase not in COMPLETED:
        return
    turn.update(**{kind: RunRef(id=ref.id, outcome=phase, message=clip(message))})
    if phase is RunPhase.SUCCESSFUL:
        turn.note(Action.ANALYSIS_PASSED, f"{kind} analysis is good", **evidence(kind, turn))


def evidence(kind: RunKind, turn: Turn) -> dict[str, str | None]:
    """What a note tells about a run: which, and what it came to."""
    ref: RunRef = getattr(turn.rollout, kind)
    return {"run": ref.id, "phase": ref.outcome, "message": ref.message}


def forget(turn: Turn, *kinds: RunKind, why: str) -> None:
    """Let go of runs, stopping those without a verdict; later ones have other ids."""
    for kind, ref in list(open_runs(turn)):
        if kind in kinds:
            turn.update(**{kind: None})
            if ref.outcome is None:
                turn.emit(StopRun(id=ref.id, why=clip(why)))


def forget_undecided(turn: Turn) -> None:
    """Let go of runs that left it to a person: new ones take their place."""
    kinds = [kind for kind, ref in open_runs(turn) if ref.outcome in UNDECIDED]
    forget(turn, *kinds, why="")
