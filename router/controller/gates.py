"""Gates: somebody outside is asked whether a rollout may go on.

Level-triggered: a rollout's state names the gate that it waits for; that one is asked again and
again until it opens or the state names it no more.  No answer is a no.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from router.clock import Clock
from router.config.models import Gate, Route
from router.controller.secrets import SecretError, read_headers
from router.controller.webhooks import WebhookError, Webhooks
from router.rollouts.events import GateAnswer
from router.rollouts.rollout import GateRef, Rollout
from router.rollouts.state import RouteState

CONCURRENCY: Final = 20


class _Question:
    """What a route waits for: when it was asked last, and the newest answer."""

    __slots__ = ("answer", "asked_at", "id", "task")

    def __init__(self, id_: str) -> None:
        self.id: Final = id_
        self.asked_at: float | None = None
        self.answer: GateAnswer | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self.answer is not None and self.answer.open

    @property
    def is_being_asked(self) -> bool:
        return self.task is not None and not self.task.done()


class Gates:
    """Who has been asked what, and the newest answers; at most one question for each route."""

    def __init__(self, webhooks: Webhooks, clock: Clock) -> None:
        self._webhooks: Final = webhooks
        self._clock: Final = clock
        self._places: Final = asyncio.Semaphore(CONCURRENCY)
        self._questions: Final[dict[str, _Question]] = {}
        self.on_answer: Callable[[], None] = lambda: None

    def look(self, route: Route, state: RouteState) -> Mapping[str, GateAnswer]:
        """The newest answer for a route; asks the gate that it waits for if that is due."""
        rollout = state.rollout
        gate = rollout.gate if rollout is not None and rollout.in_flight else None
        known = self._questions.get(route.name)
        if known is not None and (gate is None or known.id != gate.id):
            self._drop(route.name)
            known = None
        if gate is None or rollout is None:
            return {}
        question = known or self._questions.setdefault(route.name, _Question(gate.id))
        if self._is_due(question, _gates(route, gate)):
            self._ask(question, route, question_of(route, state, rollout, gate), gate)
        return {gate.id: question.answer} if question.answer is not None else {}

    def keep(self, routes: Collection[str]) -> None:
        """Forget what other routes have asked."""
        for name in self._questions.keys() - set(routes):
            self._drop(name)

    async def close(self) -> None:
        """Stop asking."""
        tasks = [each.task for each in self._questions.values() if each.task is not None]
        for name in list(self._questions):
            self._drop(name)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self, route: str) -> None:
        task = self._questions.pop(route).task
        if task is not None:
            task.cancel()

    def _is_due(self, question: _Question, gates: list[Gate]) -> bool:
        if question.is_open or question.is_being_asked:
            return False
        interval_s = min((gate.interval_s for gate in gates), default=0.0)
        now = self._clock.monotonic()
        return question.asked_at is None or now - question.asked_at >= interval_s

    def _ask(
        self, question: _Question, route: Route, document: Mapping[str, Any], gate: GateRef
    ) -> None:
        question.asked_at = self._clock.monotonic()
        asking = self._ask_all(question, _gates(route, gate), document)
        question.task = asyncio.get_running_loop().create_task(asking)

    async def _ask_all(
        self, question: _Question, gates: list[Gate], document: Mapping[str, Any]
    ) -> None:
        """All webhooks of one kind have to agree."""
        answer = GateAnswer(open=True, message="nobody has to be asked any more")
        for gate in gates:
            answer = await self._ask_one(gate, document)
            if not answer.open:
                break
        question.answer = answer
        self.on_answer()

    async def _ask_one(self, gate: Gate, document: Mapping[str, Any]) -> GateAnswer:
        body = {**document, "metadata": dict(gate.metadata)}
        try:
            headers = read_headers(gate.headers)
            async with self._places:
                reply = await self._webhooks.post(gate.url, body, headers, gate.timeout_s)
        except (WebhookError, SecretError) as error:
            return GateAnswer(open=False, message=f"no answer: {error}")
        words = f": {reply.words}" if reply.words else ""
        return GateAnswer(open=reply.is_success, message=f"HTTP {reply.status}{words}")


def question_of(route: Route, state: RouteState, rollout: Rollout, gate: GateRef) -> dict[str, Any]:
    """What a gate is sent."""
    return {
        "type": gate.kind,
        "id": gate.id,
        "route": route.name,
        "canary": rollout.target,
        "stable": state.stable,
        "phase": rollout.phase,
        "step": rollout.step + 1,
        "weight": rollout.weight_bp / 100,
    }


def _gates(route: Route, gate: GateRef) -> list[Gate]:
    strategy = route.strategy
    return [g for g in strategy.gates if g.type == gate.kind] if strategy is not None else []
