"""Choose the requests that are copied to a shadow.  Pure: the draw comes in as an argument.

Guarantees (tests/properties/test_mirror_sampling.py):
  * by sticky key, one key is copied always or never, in every process;
  * which keys are copied tells nothing about which keys a canary has: the salts differ;
  * a share that grows takes no key away.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from router.routing.match import Fields, header_test
from router.routing.split import bucket
from router.snapshot import FULL, Rule, Shadow

_READING: Final = frozenset((b"GET", b"HEAD", b"POST"))
_STATEFUL: Final = re.compile(
    rb"(?:/v1)?/(?:responses|conversations|files|uploads|batches|assistants|threads|vector_stores"
    rb"|fine_tuning|containers|videos|realtime|agents)(?:/|$)"
    rb"|/v2/repository/"
    rb"|/v2/(?:systemsharedmemory|cudasharedmemory)/"
    rb"|/(?:un)?load_lora_adapter$|/v1/(?:un)?load_lora_adapter$"
    rb"|/(?:sleep|wake_up|flush_cache|reset_prefix_cache|start_profile|stop_profile)$"
)
_COMPLETIONS: Final = b"/chat/completions"


def is_stateful(method: bytes, path: bytes) -> bool:
    """Whether a call stores something, runs tools, or steers the server, by its head.

    OpenAI's stored objects (`/v1/responses` keeps its answers unless it is told not to), Triton's
    model repository and shared memory, and the switches of vLLM and SGLang.
    """
    return method not in _READING or _STATEFUL.match(path) is not None


class _Stored(msgspec.Struct):
    store: object = None


_stored: Final = msgspec.json.Decoder(_Stored)


def asks_to_store(path: bytes, body: bytes) -> bool:
    """Whether a chat completion is to be kept by the server (`"store": true`)."""
    if not path.endswith(_COMPLETIONS) or b'"store"' not in body:
        return False
    try:
        return _stored.decode(body).store is True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


class RuleTest:
    """One match rule of a shadow, compiled."""

    __slots__ = ("_headers", "_methods", "_path", "_prefix", "model")

    def __init__(self, rule: Rule) -> None:
        self._path: Final = rule.path.encode() if rule.path is not None else None
        self._prefix: Final = (
            rule.path_prefix.rstrip("/").encode() if rule.path_prefix is not None else None
        )
        self._methods: Final = frozenset(method.encode() for method in rule.methods)
        self._headers: Final = tuple(header_test(condition) for condition in rule.headers)
        self.model: Final = rule.model

    def matches(self, method: bytes, path: bytes, fields: Fields) -> bool:
        """Whether all but the model holds."""
        if self._path is not None and path != self._path:
            return False
        if self._prefix is not None and not _is_below(path, self._prefix):
            return False
        if self._methods and method not in self._methods:
            return False
        return all(test(fields) for test in self._headers)


def _is_below(path: bytes, prefix: bytes) -> bool:
    return path == prefix or path.startswith(prefix + b"/")


class Sampler:
    """Which requests of one route are copied."""

    __slots__ = ("_rules", "_salt", "_share_bp", "_stateful")

    def __init__(self, route: str, shadow: Shadow) -> None:
        # A salt of its own: with the canary's, the same users would be in both, or in neither.
        self._salt: Final = b"shadow:" + route.encode()
        self._share_bp: Final = shadow.percent_bp
        self._stateful: Final = shadow.stateful
        self._rules: Final = tuple(RuleTest(rule) for rule in shadow.rules)

    def models(self, method: bytes, path: bytes, fields: Fields) -> frozenset[str | None]:
        """The models whose requests with this head may be copied; None in it means any."""
        if not self._stateful and is_stateful(method, path):
            return frozenset()
        if not self._rules:
            return frozenset((None,))
        fitting = [rule for rule in self._rules if rule.matches(method, path, fields)]
        return frozenset(rule.model for rule in fitting)

    def may_copy(self, path: bytes, body: bytes) -> bool:
        """Whether the body forbids a copy, as far as it is there."""
        return self._stateful or not asks_to_store(path, body)

    def chooses(self, key: bytes | None, draw: Callable[[], float]) -> bool:
        """Whether this request is copied; `key` is its sticky key where that decides."""
        if self._share_bp >= FULL:
            return True
        if key is not None:
            return bucket(self._salt, key) < self._share_bp
        return draw() * FULL < self._share_bp
