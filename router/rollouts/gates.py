"""Questions to somebody outside, before a rollout goes on.

A gate is asked once, as an effect; whoever asks it repeats the question until it opens.  It opens
by an answer or because a person promotes; a closed one waits without end.
"""

from router.rollouts.effects import Action, AskGate
from router.rollouts.events import GateAnswer, Observation
from router.rollouts.phases import Happening, Phase, Reason
from router.rollouts.rollout import GateRef
from router.rollouts.spec import GateKind
from router.rollouts.turn import Turn


def is_shut(turn: Turn, kind: GateKind, observation: Observation) -> bool:
    """Whether the rollout has to wait before this gate; asks it if nobody has."""
    rollout = turn.rollout
    if kind not in turn.spec.gates or kind in rollout.gates_passed or rollout.full:
        if rollout.gate is not None and rollout.gate.kind is kind:
            _drop(turn)  # the configuration has lost it in the meantime
        return False
    gate = (
        rollout.gate if rollout.gate is not None and rollout.gate.kind is kind else _ask(turn, kind)
    )
    answer = observation.gates.get(gate.id)
    if answer is not None and answer.open:
        pass_gate(turn, answer.message)
        return False
    if answer is not None:
        _close(turn, gate, answer)
    return True


def pass_gate(turn: Turn, why: str) -> None:
    """Go through the gate that the rollout waits for."""
    gate = turn.rollout.gate
    assert gate is not None, "only called before a gate"
    turn.note(Action.GATE_PASSED, f"gate {gate.kind} is open: {why}", gate=gate.id)
    turn.update(gates_passed=(*turn.rollout.gates_passed, gate.kind))
    _drop(turn)


def _ask(turn: Turn, kind: GateKind) -> GateRef:
    gate = GateRef(id=turn.next_id(kind), kind=kind)
    turn.update(gate=gate)
    turn.emit(AskGate(id=gate.id, kind=kind))
    turn.note(Action.GATE_ASKED, f"gate {kind} comes first", gate=gate.id)
    return gate


def _close(turn: Turn, gate: GateRef, answer: GateAnswer) -> None:
    if turn.phase is Phase.PROGRESSING:
        text = f"gate {gate.kind} is closed: {answer.message}"
        turn.move(Happening.GATE_CLOSED, Reason.GATE_CLOSED, text)
        turn.note(Action.PAUSED, text, gate=gate.id)


def _drop(turn: Turn) -> None:
    if turn.rollout.gate is None:
        return
    turn.update(gate=None, progress_s=turn.now)
    if turn.rollout.reason is Reason.GATE_CLOSED:
        turn.move(Happening.GATE_OPENED)
