"""What the asgi door does not promise: there the ASGI server reads the wire, and it decides.

By case, with the reason as it was seen with uvicorn and httptools; a test plays each of them, so
that a reason which has gone does not stay here.
"""

from typing import Final

_LENIENT: Final = "httptools takes more request lines than there are"
_TARGET: Final = "the ASGI scope has neither the raw target nor the authority of an absolute one"
_ZEROS: Final = "llhttp bounds a chunk's size by its value, not by its digits"
_TRAILERS: Final = "uvicorn adds trailers that come with the head to the scope's headers"
_CONTINUE: Final = "uvicorn sends 100 whenever a body is received that was announced so"
_AT_ONCE: Final = "uvicorn answers malformed HTTP at once, before what came before it"
_UNBOUNDED: Final = "uvicorn has no bound for what is not parsed yet, and drops extensions unseen"

NATIVE_ONLY: Final[dict[str, str]] = {
    "two spaces behind the method": _LENIENT,
    "two spaces before the version": _LENIENT,
    "another protocol's version": _LENIENT,
    "an unknown method": "httptools knows a fixed list of methods",
    "a lone question mark as it came": _TARGET,
    "a fragment": _TARGET,
    "another scheme": _TARGET,
    "an absolute target with a user": _TARGET,
    "an absolute target overrides Host": _TARGET,
    "a byte behind an empty body": _AT_ONCE,
    "a chunk's size is of 100 zeros and a 5": _ZEROS,
    "trailers are dropped": _TRAILERS,
    "a trailer closes nothing": _TRAILERS,
    "an expectation with its body at once": _CONTINUE,
    "an expectation in HTTP/1.0 is ignored": _CONTINUE,
    "a field without an end": _UNBOUNDED,
    "a request line without an end": _UNBOUNDED,
    "a name without an end": _UNBOUNDED,
    "a chunk's line too long": _UNBOUNDED,
    "a chunk's line without an end": _UNBOUNDED,
    "extensions on each of many chunks": _UNBOUNDED,
    "trailers too large": _UNBOUNDED,
    "trailers without an end": _UNBOUNDED,
}
