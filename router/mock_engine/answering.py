"""The way of one inference request, from the parsed question to the last byte.

draw faults -> reset? -> wait if slow -> error? -> queue -> generate -> write -> count

A protocol says how a question is read and how an answer is written (`Shape`); what
happens in between is the same for all of them and stands here once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from router.mock_engine.batch import Sequence, TooLong
from router.mock_engine.engine import Engine, Generation
from router.mock_engine.exchange import (
    EVENT_STREAM,
    JSON,
    BrokenOff,
    Exchange,
    Headers,
    Refused,
)
from router.mock_engine.faults import Fault, FaultPlan
from router.mock_engine.wording import Answer

INJECTED: Final = "injected by the mock engine"


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client asks of a model, in no protocol's words."""

    prompt_tokens: int
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer in one piece, as it goes on the wire."""

    body: bytes
    content_type: bytes = JSON
    headers: Headers | None = None


class Shape(Protocol):
    """How a protocol writes a stream. Each part is bytes, empty where there is none."""

    def opening(self) -> bytes:
        """What comes right before the first token."""

    def token(self, answer: Answer, index: int) -> bytes:
        """One token of the answer."""

    def closing(self, answer: Answer) -> bytes:
        """What comes after the last token and makes the answer complete."""

    def error(self, message: str) -> bytes:
        """An error once the stream has begun."""


def require_model(engine: Engine, exchange: Exchange, model: object) -> str:
    """Note the model that is asked for.

    Raises:
        Refused: it is not a name, or this engine does not serve it.
    """
    if not isinstance(model, str) or not model:
        raise Refused(400, "model must be a string", param="model")
    exchange.entry.model = model
    if not engine.settings.serves(model):
        message = f"The model `{model}` does not exist."
        raise Refused(404, message, kind="NotFoundError", param="model", code="model_not_found")
    return model


async def answer_whole(
    engine: Engine, exchange: Exchange, ask: Ask, render: Callable[[Answer], Whole]
) -> None:
    """Generate everything, then answer in one piece."""
    async with _generating(engine, exchange, ask) as run:
        await run.wait_all()
        await run.send_whole(render(run.answer))


async def answer_stream(engine: Engine, exchange: Exchange, ask: Ask, shape: Shape) -> None:
    """Send every token as it is generated."""
    exchange.entry.stream = True
    async with _generating(engine, exchange, ask) as run:
        # The head goes out before the first token exists, as vLLM's does.
        await exchange.start(200, EVENT_STREAM, [(b"cache-control", b"no-cache")])
        await run.send_tokens(shape)
        await exchange.write(shape.closing(run.answer))
        await exchange.finish()


@asynccontextmanager
async def _generating(engine: Engine, exchange: Exchange, ask: Ask) -> AsyncIterator[_Run]:
    with exchange.ending_with_client():
        plan = engine.choose_faults()
        await _suffer_before(exchange, plan)
        answer = engine.compose(ask.max_tokens)
        sequence = _sequence(ask, answer, plan)
        try:
            with engine.generating(sequence, answer.finish_reason) as generation:
                yield _Run(engine, exchange, plan, answer, generation)
        except TooLong as error:
            raise Refused(400, str(error), code="context_length_exceeded") from None


async def _suffer_before(exchange: Exchange, plan: FaultPlan) -> None:
    if plan.before is Fault.RESET:
        exchange.entry.fault = plan.before
        await exchange.reset()
    if plan.slow:
        exchange.entry.fault = "slow"
        await asyncio.sleep(plan.settings.slow_seconds)
    if plan.before is Fault.ERROR:
        exchange.entry.fault = plan.before
        raise Refused(
            plan.settings.error_status, INJECTED, kind="InternalServerError", code="injected"
        )


def _sequence(ask: Ask, answer: Answer, plan: FaultPlan) -> Sequence:
    stall_after = plan.settings.after_tokens if plan.during is Fault.STALL else None
    return Sequence(ask.prompt_tokens, len(answer.tokens), stall_after)


@dataclass(frozen=True, slots=True)
class _Run:
    """One answer while it is generated and sent."""

    engine: Engine
    exchange: Exchange
    plan: FaultPlan
    answer: Answer
    generation: Generation

    async def wait_all(self) -> None:
        """Wait for the last token."""
        if self.plan.during is Fault.STALL:
            await self.generation.wait_produced(self._fault_at())
            await self._stall()
        await self.generation.wait_produced(len(self.answer.tokens))

    async def send_whole(self, whole: Whole) -> None:
        """Send an answer in one piece, or half of it where a fault strikes."""
        if self.plan.during in (Fault.TRUNCATE, Fault.MID_STREAM_RESET):
            await self.exchange.begin(whole.body, whole.content_type, whole.headers)
            await self._break_connection()
        await self.exchange.reply(200, whole.body, whole.content_type, whole.headers)

    async def send_tokens(self, shape: Shape) -> None:
        """Send each token when it is out, as far as no fault strikes."""
        fault_at = self._fault_at() if self.plan.during else None
        for index in range(len(self.answer.tokens)):
            await self.generation.wait_produced(index + 1)
            if index == 0:
                await self._write(shape.opening())
            await self._write(shape.token(self.answer, index))
            if index + 1 == fault_at:
                await self._suffer_during(shape)

    def _fault_at(self) -> int:
        return min(self.plan.settings.after_tokens, len(self.answer.tokens))

    async def _write(self, chunk: bytes) -> None:
        if chunk:
            await self.exchange.write(chunk)

    async def _suffer_during(self, shape: Shape) -> None:
        if self.plan.during is Fault.STALL:
            await self._stall()
        elif self.plan.during is Fault.STREAM_ERROR:
            await self._end_early(shape.error(INJECTED))
        elif self.plan.during is Fault.TRUNCATE and self.plan.settings.truncate_by == "end":
            await self._end_early(b"")
        else:
            await self._break_connection()

    async def _stall(self) -> None:
        self.exchange.entry.fault = Fault.STALL
        seconds = self.plan.settings.stall_seconds
        await asyncio.sleep(seconds or math.inf)
        self.engine.resume(self.generation)

    async def _end_early(self, last: bytes) -> NoReturn:
        self.exchange.entry.fault = self.plan.during
        await self._write(last)
        await self.exchange.finish()
        raise BrokenOff

    async def _break_connection(self) -> NoReturn:
        self.exchange.entry.fault = self.plan.during
        if self.plan.during is Fault.MID_STREAM_RESET:
            await self.exchange.reset()
        await self.exchange.hang_up()
