"""One pair as it is recorded, for people who want to see what differed.  Pure."""

from typing import Any

from router.comparison import Comparison, Judgement
from router.controller.shadow import redaction
from router.controller.shadow.redaction import Redaction
from router.evaluation.tally import Observed
from router.link.messages import Captured, Pair


def document_of(
    pair: Pair, observed: Observed, judgement: Judgement, rules: Redaction
) -> dict[str, Any]:
    """What may be written down of a pair; times in seconds, `time` since 1970 UTC."""
    document: dict[str, Any] = {
        "requestId": rules.request_id(pair.request_id),
        "time": pair.time_s,
        "generation": pair.generation,
        "verdict": judgement.verdict.value,
        "rule": judgement.rule,
        "request": _request(pair, rules),
        "primary": _answer(pair.primary, rules),
        "shadow": _answer(pair.shadow, rules) | _compared(observed.comparison, rules),
    }
    if pair.twin is not None:
        document["twin"] = _answer(pair.twin, rules)
        if observed.twin is not None:
            document["twin"] |= _compared(observed.twin, rules)
    return document


def _request(pair: Pair, rules: Redaction) -> dict[str, Any]:
    return {
        "method": redaction.clip(pair.method),
        "target": redaction.target(pair.target),
        "fields": rules.fields(pair.fields),
        "body": rules.request_body(pair.request, pair.fields),
    }


def _answer(captured: Captured, rules: Redaction) -> dict[str, Any]:
    return {
        "version": captured.version,
        "outcome": captured.outcome,
        "reason": redaction.clip(captured.reason),
        "status": captured.status,
        "fields": rules.fields(captured.fields),
        "body": rules.body(captured.body, captured.fields),
        "firstByteSeconds": captured.first_byte_s,
        "firstTokenSeconds": captured.first_token_s,
        "durationSeconds": captured.duration_s,
    }


def _compared(comparison: Comparison, rules: Redaction) -> dict[str, Any]:
    """What an answer is beside the primary's."""
    return {
        "differences": rules.differences(comparison),
        "error": rules.error(comparison.error),
        "tokens": list(comparison.tokens),
    }
