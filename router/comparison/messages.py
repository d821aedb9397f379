"""What a generation says to its client, whatever API it was asked through.

Each dialect is told by its shape and read into one `Message`.  What is not read is not compared:
ids, times, usage, log probabilities, signatures; they differ with every call, and no client
shows them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from router.comparison.tool_calls import ToolCall

Json = dict[str, Any]

MAX_COUNT: Final = 2**32
"""No server has made so many tokens or choices; what is larger is no count.  The sums of thousands
of pairs' must fit 64 bits, or they could not be stored."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One generation; everything by its place in the answer, as a whole answer has it.

    `others` are further parts that clients read, compared as JSON.  `tokens` are the completion
    tokens that the server reported.
    """

    finish_reasons: dict[str, str]
    texts: dict[str, str]
    tool_calls: dict[str, list[ToolCall]]
    others: dict[str, Any]
    tokens: int | None


ReadMessage = Callable[[Any], Message]


def reader_of(document: Any) -> ReadMessage | None:
    """What reads this document as a message; None: it is none."""
    for is_spoken, read in _DIALECTS:
        if is_spoken(document):
            return read
    return None


def objects(values: Any) -> Iterator[tuple[int, Json]]:
    """The objects of a list, each with its place."""
    if isinstance(values, list):
        for place, value in enumerate(values):
            if isinstance(value, dict):
                yield place, value


def count(value: Any) -> int | None:
    """A number of things, or None where it is none."""
    return value if type(value) is int and 0 <= value < MAX_COUNT else None


class _Draft:
    """A message that is being read; what is empty is left out."""

    def __init__(self) -> None:
        self._finish_reasons: dict[str, str] = {}
        self._texts: dict[str, list[str]] = {}
        self._tool_calls: dict[str, list[ToolCall]] = {}
        self._others: dict[str, Any] = {}

    def finish(self, place: str, reason: Any) -> None:
        if isinstance(reason, str):
            self._finish_reasons[place] = reason

    def text(self, place: str, value: Any) -> None:
        """A text, or several that clients join."""
        if not value:
            return
        parts = value if isinstance(value, list) else [value]
        written = [part for part in parts if isinstance(part, str) and part]
        if written:
            self._texts.setdefault(place, []).extend(written)

    def call(self, place: str, name: Any, arguments: Any) -> None:
        call = ToolCall(name if isinstance(name, str) else "", arguments)
        self._tool_calls.setdefault(place, []).append(call)

    def other(self, place: str, value: Any) -> None:
        if value not in (None, [], {}):
            self._others[place] = value

    def message(self, tokens: Any) -> Message:
        return Message(
            finish_reasons=self._finish_reasons,
            texts={place: "".join(parts) for place, parts in self._texts.items()},
            tool_calls=self._tool_calls,
            others=self._others,
            tokens=count(tokens),
        )


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _usage(document: Json, name: str) -> Any:
    return _object(document.get("usage")).get(name)


def _texts_of(parts: Any, name: str = "text") -> list[Any]:
    return [part.get(name) for _, part in objects(parts)]


# -- chat and completions ----------------------------------------------------------------------


def _is_choices(document: Any) -> bool:
    choices = document.get("choices") if isinstance(document, dict) else None
    return isinstance(choices, list) and all(
        isinstance(choice, dict) and not choice.keys().isdisjoint(("message", "text", "index"))
        for choice in choices
    )


def _read_choices(document: Json) -> Message:
    draft = _Draft()
    for place, choice in objects(document.get("choices")):
        index = count(choice.get("index"))
        at = f"$.choices[{place if index is None else index}]"
        draft.finish(f"{at}.finish_reason", choice.get("finish_reason"))
        draft.text(f"{at}.text", choice.get("text"))
        draft.other(f"{at}.stop_reason", choice.get("stop_reason"))
        if isinstance(message := choice.get("message"), dict):
            _read_chat_message(draft, f"{at}.message", message)
    return draft.message(_usage(document, "completion_tokens"))


def _read_chat_message(draft: _Draft, at: str, message: Json) -> None:
    content = message.get("content")
    draft.text(f"{at}.content", _texts_of(content) if isinstance(content, list) else content)
    # One and the same: vLLM has renamed it.
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    draft.text(f"{at}.reasoning_content", reasoning)
    draft.text(f"{at}.refusal", message.get("refusal"))
    # The sound itself is never the same twice; what it says is its transcript.
    draft.text(f"{at}.audio.transcript", _object(message.get("audio")).get("transcript"))
    draft.other(f"{at}.annotations", message.get("annotations"))
    functions = [_object(call.get("function")) for _, call in objects(message.get("tool_calls"))]
    if isinstance(message.get("function_call"), dict):  # before there were tools
        functions.append(message["function_call"])
    for function in functions:
        draft.call(f"{at}.tool_calls", function.get("name"), function.get("arguments"))


# -- /v1/responses -----------------------------------------------------------------------------


def _is_response(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and document.get("object") == "response"
        and isinstance(document.get("output"), list)
    )


def _read_response(document: Json) -> Message:
    draft = _Draft()
    incomplete = _object(document.get("incomplete_details")).get("reason")
    draft.finish("$.status", document.get("status") if incomplete is None else incomplete)
    others = []
    for _, item in objects(document.get("output")):
        kind = item.get("type")
        if kind == "message":
            draft.text("$.output_text", _texts_of(item.get("content")))
            draft.text("$.refusal", _texts_of(item.get("content"), "refusal"))
        elif kind == "reasoning":
            draft.text("$.reasoning", _texts_of(item.get("summary")))
            draft.text("$.reasoning", _texts_of(item.get("content")))
        elif kind == "function_call":
            draft.call("$.output", item.get("name"), item.get("arguments"))
        else:
            others.append(_without_ids(item))
    draft.other("$.output", others)
    return draft.message(_usage(document, "output_tokens"))


# -- Anthropic's messages ----------------------------------------------------------------------


def _is_anthropic(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and document.get("type") == "message"
        and isinstance(document.get("content"), list)
    )


def _read_anthropic(document: Json) -> Message:
    draft = _Draft()
    draft.finish("$.stop_reason", document.get("stop_reason"))
    draft.other("$.stop_sequence", document.get("stop_sequence"))
    others = []
    for _, block in objects(document.get("content")):
        kind = block.get("type")
        if kind == "text":
            draft.text("$.content.text", block.get("text"))
        elif kind == "thinking":
            draft.text("$.content.thinking", block.get("thinking"))
        elif kind == "tool_use":
            draft.call("$.content", block.get("name"), block.get("input"))
        elif kind != "redacted_thinking":  # encrypted, so never the same twice
            others.append(_without_ids(block))
    draft.other("$.content", others)
    return draft.message(_usage(document, "output_tokens"))


def _without_ids(part: Json) -> Json:
    return {name: value for name, value in part.items() if name not in ("id", "tool_use_id")}


# -- TGI, Triton, SGLang -----------------------------------------------------------------------


def _is_tgi(document: Any) -> bool:
    answers = document if isinstance(document, list) else [document]
    return bool(answers) and all(
        isinstance(answer, dict) and isinstance(answer.get("generated_text"), str)
        for answer in answers
    )


def _read_tgi(document: Any) -> Message:
    is_list = isinstance(document, list)
    draft, tokens = _Draft(), []
    for place, answer in objects(document if is_list else [document]):
        at = f"$[{place}]" if is_list else "$"
        details = _object(answer.get("details"))
        draft.text(f"{at}.generated_text", answer.get("generated_text"))
        draft.finish(f"{at}.details.finish_reason", details.get("finish_reason"))
        tokens.append(count(details.get("generated_tokens")))
    reported = [number for number in tokens if number is not None]
    return draft.message(sum(reported) if reported else None)


def _is_triton(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("text_output"), str | list)


def _read_triton(document: Json) -> Message:
    draft = _Draft()
    draft.text("$.text_output", document.get("text_output"))
    return draft.message(None)


def _is_sglang(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and isinstance(document.get("text"), str)
        and isinstance(document.get("meta_info"), dict)
    )


def _read_sglang(document: Json) -> Message:
    draft, about = _Draft(), _object(document.get("meta_info"))
    draft.text("$.text", document.get("text"))
    reason = about.get("finish_reason")
    draft.finish("$.meta_info.finish_reason", _object(reason).get("type", reason))
    return draft.message(about.get("completion_tokens"))


_DIALECTS: Final[Iterable[tuple[Callable[[Any], bool], ReadMessage]]] = (
    (_is_choices, _read_choices),
    (_is_response, _read_response),
    (_is_anthropic, _read_anthropic),
    (_is_tgi, _read_tgi),
    (_is_triton, _read_triton),
    (_is_sglang, _read_sglang),
)
