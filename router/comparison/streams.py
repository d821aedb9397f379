"""Fold a stream of events into the document that the same answer would have been in one piece.

So a streamed answer is compared as its message, and a path like `$.choices[*].message.content`
means the same in both.  Where events begin and end, and how the text is cut, leaves no trace.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from router.comparison.events import payloads
from router.comparison.excerpts import excerpt
from router.comparison.json_text import read_json
from router.comparison.messages import Json, count, objects

_TRUNCATED: Final = "the stream ended before its message did"
_ERROR_TYPES: Final = frozenset(("error", "response.failed"))
_LAST_RESPONSE: Final = frozenset(("response.completed", "response.incomplete"))


class Folded(msgspec.Struct, frozen=True):
    """The document of a stream; `problem` says why there is none."""

    document: Any = None
    problem: str = ""


class _Told(msgspec.Struct, frozen=True):
    """What the events of a stream told; `ended`: the last of them was meant to be the last."""

    document: Any
    ended: bool


Fold = Callable[[list[Json]], _Told]


def fold(body: bytes) -> Folded:
    """Fold a whole stream."""
    events, done = _read_events(body)
    spoken = [event for event in events if isinstance(event, dict)]
    for event in spoken:
        if event.get("error") or _kind(event) in _ERROR_TYPES:
            return Folded(problem=f"an error in the stream ({excerpt(_error_kind(event))})")
    for is_spoken, fold_events in _DIALECTS:
        if any(map(is_spoken, spoken)):
            told = fold_events(spoken)
            ended = done or told.ended
            return Folded(told.document) if ended else Folded(problem=_TRUNCATED)
    # Not one of the dialects: its end cannot be told, but a stream has at least one event.
    return Folded(events) if events or done else Folded(problem=_TRUNCATED)


def _read_events(body: bytes) -> tuple[list[Any], bool]:
    events: list[Any] = []
    for payload in payloads(body):
        if payload.startswith("[DONE]"):
            return events, True  # OpenAI's client reads no further
        try:
            events.append(read_json(payload))
        except ValueError:
            events.append(payload)
    return events, False


def _error_kind(event: Json) -> str:
    """The kind alone: the message may repeat what the request said."""
    inner = event.get("error")
    if isinstance(event.get("response"), dict):
        inner = event["response"].get("error")
    if isinstance(inner, dict):
        kinds = (inner.get("type"), inner.get("code"))
        return next((kind for kind in kinds if isinstance(kind, str) and kind), "no type")
    kind = event.get("error_type")  # TGI
    return kind if isinstance(kind, str) else "no type"


def _kind(event: Json) -> str:
    kind = event.get("type")
    return kind if isinstance(kind, str) else ""


class _Pieces:
    """Texts that grow piece by piece, by name; joined once, because many pieces come."""

    def __init__(self) -> None:
        self._pieces: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, name: str, piece: Any) -> None:
        if isinstance(piece, str):
            self._pieces[name].append(piece)

    def joined(self) -> Json:
        return {name: "".join(pieces) for name, pieces in self._pieces.items()}


# -- chat and completions ----------------------------------------------------------------------


class _Choice:
    """One choice as its deltas build it."""

    def __init__(self) -> None:
        self._texts = _Pieces()
        self._said = _Pieces()
        self._spoken = _Pieces()
        self._function = _Call()
        self._calls: dict[int, _Call] = {}
        self._annotations: list[Any] = []
        self._last: Json = {}

    def add(self, choice: Json) -> None:
        self._texts.add("text", choice.get("text"))
        for name in ("finish_reason", "stop_reason"):
            if choice.get(name) is not None:
                self._last[name] = choice[name]
        if isinstance(delta := choice.get("delta"), dict):
            self._add_delta(delta)

    def _add_delta(self, delta: Json) -> None:
        for name in ("content", "reasoning_content", "refusal"):
            self._said.add(name, delta.get(name))
        if not delta.get("reasoning_content"):  # one and the same: vLLM has renamed it
            self._said.add("reasoning_content", delta.get("reasoning"))
        if isinstance(audio := delta.get("audio"), dict):
            self._spoken.add("transcript", audio.get("transcript"))
        if isinstance(annotations := delta.get("annotations"), list):
            self._annotations.extend(annotations)
        if isinstance(function := delta.get("function_call"), dict):
            self._function.add(function)
        for _, call in objects(delta.get("tool_calls")):
            self._call_of(call).add(call.get("function"))

    def _call_of(self, call: Json) -> "_Call":
        index = count(call.get("index"))
        if index is None:  # some servers leave it out: an id begins the next call
            index = max(self._calls, default=-1)
            index += 1 if call.get("id") or index < 0 else 0
        return self._calls.setdefault(index, _Call())

    def document(self, index: int) -> Json:
        message = self._said.joined()
        if audio := self._spoken.joined():
            message["audio"] = audio
        if self._annotations:
            message["annotations"] = self._annotations
        if self._function.begun:
            message["function_call"] = self._function.document()
        if self._calls:
            calls = [call for _, call in sorted(self._calls.items())]
            message["tool_calls"] = [{"function": call.document()} for call in calls]
        return {"index": index, **self._texts.joined(), "message": message, **self._last}


class _Call:
    """A function call as its deltas build it; some servers repeat the name in each."""

    def __init__(self) -> None:
        self._name = ""
        self._arguments = _Pieces()
        self.begun = False

    def add(self, function: Any) -> None:
        if not isinstance(function, dict):
            return
        self.begun = True
        if not self._name and isinstance(function.get("name"), str):
            self._name = function["name"]
        self._arguments.add("arguments", function.get("arguments"))

    def document(self) -> Json:
        return {"name": self._name, **self._arguments.joined()}


def _fold_choices(events: list[Json]) -> _Told:
    choices: defaultdict[int, _Choice] = defaultdict(_Choice)
    usage, ended = None, False
    for event in events:
        for place, choice in objects(event.get("choices")):
            index = count(choice.get("index"))
            choices[place if index is None else index].add(choice)
            ended = ended or isinstance(choice.get("finish_reason"), str)
        usage = event.get("usage") or usage
    documents = [choice.document(index) for index, choice in sorted(choices.items())]
    return _Told({"choices": documents, "usage": usage}, ended)


# -- /v1/responses -----------------------------------------------------------------------------


def _fold_response(events: list[Json]) -> _Told:
    """The last event holds the whole response; where its output is empty, the items' events."""
    items = [event.get("item") for event in events if _kind(event) == "response.output_item.done"]
    for event in reversed(events):
        response = event.get("response")
        if _kind(event) in _LAST_RESPONSE and isinstance(response, dict):
            output = response.get("output") or items
            return _Told({**response, "object": "response", "output": output}, ended=True)
    return _Told({"object": "response", "output": items}, ended=False)


# -- Anthropic's messages ----------------------------------------------------------------------


class _Block:
    """One content block as its deltas build it."""

    def __init__(self, begun: Json) -> None:
        self._begun = begun
        self._pieces = _Pieces()
        for name in ("text", "thinking"):
            self._pieces.add(name, begun.get(name))

    def add(self, delta: Json) -> None:
        for name in ("text", "thinking", "partial_json"):
            self._pieces.add(name, delta.get(name))

    def document(self) -> Json:
        joined = self._pieces.joined()
        arguments = joined.pop("partial_json", "")
        if not arguments:
            return {**self._begun, **joined}
        try:
            return {**self._begun, **joined, "input": read_json(arguments)}
        except ValueError:
            return {**self._begun, **joined, "input": arguments}


def _fold_anthropic(events: list[Json]) -> _Told:
    message: Json = {"type": "message"}
    blocks: dict[int, _Block] = {}
    usage: Json = {}
    for event in events:
        index = count(event.get("index")) or 0
        delta = event.get("delta")
        if isinstance(begun := event.get("content_block"), dict):
            blocks[index] = _Block(begun)
        elif _kind(event) == "content_block_delta" and isinstance(delta, dict):
            blocks.setdefault(index, _Block({"type": "text"})).add(delta)
        elif _kind(event) == "message_delta" and isinstance(delta, dict):
            message |= delta
        for part in (event.get("message"), event):  # reported in two halves
            if isinstance(part, dict) and isinstance(part.get("usage"), dict):
                usage |= part["usage"]
    content = [block.document() for _, block in sorted(blocks.items())]
    ended = any(_kind(event) == "message_stop" for event in events)
    return _Told({**message, "type": "message", "content": content, "usage": usage}, ended)


# -- TGI, Triton, SGLang -----------------------------------------------------------------------


def _fold_tgi(events: list[Json]) -> _Told:
    """The last event holds the whole text."""
    for event in reversed(events):
        if isinstance(event.get("generated_text"), str):
            return _Told(event, ended=True)
    return _Told(None, ended=False)


def _fold_triton(events: list[Json]) -> _Told:
    """Nothing marks the end of it, so what came is taken as all of it."""
    pieces = _Pieces()
    for event in events:
        pieces.add("text_output", event.get("text_output"))
    return _Told({"text_output": "", **pieces.joined()}, ended=True)


def _fold_sglang(events: list[Json]) -> _Told:
    """Each event holds the whole text so far."""
    last = events[-1]
    about = last.get("meta_info")
    return _Told(last, isinstance(about, dict) and about.get("finish_reason") is not None)


def _has(*names: str) -> Callable[[Json], bool]:
    return lambda event: event.keys() >= set(names)


_DIALECTS: Final[Iterable[tuple[Callable[[Json], bool], Fold]]] = (
    (_has("choices"), _fold_choices),
    (lambda event: _kind(event).startswith("response."), _fold_response),
    (lambda event: _kind(event) == "message_start", _fold_anthropic),
    (_has("token", "generated_text"), _fold_tgi),
    (_has("text_output"), _fold_triton),
    (_has("text", "meta_info"), _fold_sglang),
)
