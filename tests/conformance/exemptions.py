"""What the asgi door cannot promise, because the ASGI server in front of it decides.

By test name; `test_wire_exemptions.py` keeps the list honest.  The server here is uvicorn with
httptools; each reason was seen in its code or on the wire (uvicorn 0.54, httptools 0.9).
"""

from __future__ import annotations

from typing import Final

DOORS: Final = ("native", "asgi")

_TRAILERS: Final = "uvicorn adds trailers that come with the head to the scope's headers"
_HTTP_1_0: Final = "uvicorn answers HTTP/1.0 with chunks, and never keeps its connection"
_TARGET: Final = "the ASGI scope has neither the raw target nor the authority of an absolute one"
_METHODS: Final = "httptools knows a fixed list of methods"
_PIPELINED: Final = "uvicorn reads no more once a request is pipelined, so it sees no client go"

NATIVE_ONLY: Final[dict[str, str]] = {
    "test_request_trailers_are_dropped": _TRAILERS,
    "test_a_client_of_http_1_0_gets_a_body_that_ends_with_the_connection": _HTTP_1_0,
    "test_a_client_of_http_1_0_may_keep_its_connection": _HTTP_1_0,
    "test_a_client_of_http_1_0_gets_its_stream_without_chunks": _HTTP_1_0,
    "test_a_lone_question_mark_stays": _TARGET,
    "test_the_authority_of_an_absolute_target_replaces_host": _TARGET,
    "test_unknown_methods_are_passed_on": _METHODS,
    "test_a_pipelined_request_of_a_client_that_went_is_never_sent": _PIPELINED,
}
