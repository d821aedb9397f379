"""What the asgi door cannot promise, because the ASGI server in front of it decides.

By test name, or `name[case]` for one case of it; `test_wire_exemptions.py` keeps the list honest.
The server here is uvicorn with httptools; each reason was seen in its code or on the wire
(uvicorn 0.54, httptools 0.9).
"""

from __future__ import annotations

from typing import Final

DOORS: Final = ("native", "asgi")

_TRAILERS: Final = "uvicorn adds trailers that come with the head to the scope's headers"
_HTTP_1_0: Final = "uvicorn answers HTTP/1.0 with chunks, and never keeps its connection"
_TARGET: Final = "the ASGI scope has neither the raw target nor the authority of an absolute one"
_METHODS: Final = "httptools knows a fixed list of methods"
_PIPELINED: Final = "uvicorn reads no more once a request is pipelined, so it sees no client go"
_AT_ONCE: Final = "uvicorn answers malformed HTTP at once, in the middle of what it is sending"
_ITS_WORDS: Final = "uvicorn refuses malformed HTTP itself, in its own words"
_LENIENT: Final = "httptools takes two spaces in a request line for one"
_ITS_PARSER: Final = "httptools keeps no head to look through"
_DEADLINES: Final = "uvicorn has a timer of its own for idle clients"

_CERTIFICATE: Final = "ASGI has no place for a client's certificate; the configuration refuses it"

NATIVE_ONLY: Final[dict[str, str]] = {
    "test_a_broken_body_is_counted_as_what_its_client_was_told": _ITS_WORDS,
    "test_a_broken_chunk_behind_a_begun_answer_adds_nothing_to_it": _AT_ONCE,
    "test_a_certificate_is_told_of_requests_that_came_through_a_proxy_too": _CERTIFICATE,
    "test_a_client_of_http_1_0_gets_a_body_that_ends_with_the_connection": _HTTP_1_0,
    "test_a_client_of_http_1_0_gets_its_stream_without_chunks": _HTTP_1_0,
    "test_a_client_of_http_1_0_may_keep_its_connection": _HTTP_1_0,
    "test_a_lone_question_mark_stays": _TARGET,
    "test_a_malformed_request_spoils_no_answer_before_it": _AT_ONCE,
    "test_a_pipelined_request_of_a_client_that_went_is_never_sent": _PIPELINED,
    "test_a_refusal_of_malformed_http_has_the_shape_of_openai_and_is_counted": _ITS_WORDS,
    "test_a_verified_certificate_is_told_as_envoy_does_and_a_clients_own_word_never": _CERTIFICATE,
    "test_a_clients_head_that_comes_byte_by_byte_is_looked_through_once": _ITS_PARSER,
    "test_an_early_answer_that_nobody_takes_is_given_up_at_the_write_timeout": _DEADLINES,
    "test_an_idle_connection_is_closed_in_the_end": _DEADLINES,
    "test_malformed_http_is_answered_400_closed_and_never_forwarded[two spaces]": _LENIENT,
    "test_an_answer_that_is_ended_but_not_taken_holds_its_connection_for_that_long_only"
    "[kept alive]": _DEADLINES,
    "test_request_trailers_are_dropped": _TRAILERS,
    "test_the_authority_of_an_absolute_target_replaces_host": _TARGET,
    "test_unknown_methods_are_passed_on": _METHODS,
}


def exempt(test: str, case: str, door: str) -> bool:
    """Whether this case of this test is not promised by this door."""
    return door == "asgi" and bool(NATIVE_ONLY.keys() & {test, f"{test}[{case}]"})
