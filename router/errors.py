"""Every error that the router itself makes, as one closed list.

`ErrorCode` is what a client can be told: each has one HTTP status, one OpenAI error type and
one rule whether the same request may safely be sent again.  `FailureReason` is how a version can
fail: the values of the `reason` label of `model_errors_total`.  Adding a member is the only way
to add an error, so metrics and documentation can list them all.
"""

from enum import Enum, StrEnum
from typing import Final


class RouterError(Exception):
    """Anything the router raises on purpose; its text is one clear line for a person."""


class ConfigError(RouterError):
    """A configuration that cannot be used; nothing of it was applied."""


class FailureReason(StrEnum):
    """Why an exchange is booked as a failure of its version (never a 4xx, never a client gone)."""

    UPSTREAM_5XX = "upstream_5xx"
    CONNECT = "connect"
    RESET = "reset"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    STREAM_ERROR = "stream_error"


class ErrorCode(Enum):
    """An error answer made by the router: (code, HTTP status, OpenAI type, replay is safe).

    `retryable` becomes `x-should-retry`, which OpenAI's SDKs obey: it is false where the model
    server may already have worked on the request, or where our own retries are used up.  A
    request that was sent before it met such an error, and that may not be sent twice, is not
    retryable either (see `replies`).
    """

    BAD_REQUEST = ("bad_request", 400, "invalid_request_error", False)
    INVALID_JSON = ("invalid_json", 400, "invalid_request_error", False)
    MODEL_REQUIRED = ("model_required", 400, "invalid_request_error", False)
    ROUTE_NOT_FOUND = ("route_not_found", 404, "invalid_request_error", False)
    MODEL_NOT_FOUND = ("model_not_found", 404, "invalid_request_error", False)
    REQUEST_TIMEOUT = ("request_timeout", 408, "invalid_request_error", True)
    BODY_TOO_LARGE = ("body_too_large", 413, "invalid_request_error", False)
    TARGET_TOO_LONG = ("target_too_long", 414, "invalid_request_error", False)
    EXPECTATION_FAILED = ("expectation_failed", 417, "invalid_request_error", False)
    HEAD_TOO_LARGE = ("head_too_large", 431, "invalid_request_error", False)
    INTERNAL = ("internal", 500, "api_error", False)
    NOT_IMPLEMENTED = ("not_implemented", 501, "invalid_request_error", False)
    UPSTREAM_CONNECT = ("upstream_connect", 502, "api_error", True)
    UPSTREAM_RESET = ("upstream_reset", 502, "api_error", False)
    UPSTREAM_PROTOCOL = ("upstream_protocol", 502, "api_error", False)
    UPSTREAM_TRUNCATED = ("upstream_truncated", 502, "api_error", False)
    NO_HEALTHY_ENDPOINT = ("no_healthy_endpoint", 503, "api_error", True)
    OVERLOADED = ("overloaded", 503, "api_error", True)
    VERSION_OVERLOADED = ("version_overloaded", 503, "api_error", True)
    ROUTER_OVERLOADED = ("router_overloaded", 503, "api_error", True)
    DRAINING = ("draining", 503, "api_error", True)
    CONNECT_TIMEOUT = ("connect_timeout", 504, "api_error", True)
    UPSTREAM_TIMEOUT = ("upstream_timeout", 504, "api_error", False)
    VERSION_NOT_SUPPORTED = ("http_version_not_supported", 505, "invalid_request_error", False)
    LOOP_DETECTED = ("loop_detected", 508, "api_error", False)

    def __init__(self, code: str, status: int, type_: str, retryable: bool) -> None:
        self.code: Final = code
        self.status: Final = status
        self.type: Final = type_
        self.retryable: Final = retryable


CLIENT_GONE_STATUS: Final = 499
"""nginx's code for a client that closed before its answer; only in logs and metrics."""
