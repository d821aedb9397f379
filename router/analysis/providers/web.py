"""Ask any web service that answers with JSON, as Argo Rollouts' web metrics do.

`result` is the value that `jsonPath` leads to (several: the first of them, as in Argo), or the
whole document; all numbers are floating-point, as in Argo.  An answer that is no JSON is its text.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Never, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from router.analysis.providers.authentication import Authentication, make_proof
from router.analysis.providers.base import ProviderError, Reading, Subject
from router.analysis.providers.http import Call, Clients, Tls
from router.analysis.providers.jsonpath import parse_json_path
from router.analysis.providers.settings import (
    Header,
    Settings,
    Text,
    Timeout,
    Url,
    find_problems,
    read_settings,
)

MAX_ANSWER_BYTES: Final = 1024 * 1024
DEFAULT_TIMEOUT_S: Final = 10
_JSON: Final = Header(key="content-type", value=SecretStr("application/json"))


def _check_json_path(text: str) -> str:
    if "{{" not in text:  # an argument whose place is unfilled
        parse_json_path(text)
    return text


def _read_method(value: object) -> object:
    return value or "GET"  # Argo: an empty one is GET


def _read_timeout(value: object) -> object:
    return value or DEFAULT_TIMEOUT_S  # Argo: 0 means the default


class WebSettings(Settings):
    """A metric's `provider.web`."""

    url: Url
    method: Annotated[Literal["GET", "POST", "PUT"], BeforeValidator(_read_method)] = "GET"
    headers: tuple[Header, ...] = ()
    body: str | None = None
    json_body: Any = None
    json_path: Annotated[Text, AfterValidator(_check_json_path)] = "{$}"
    timeout_s: Annotated[Timeout, BeforeValidator(_read_timeout)] = Field(
        default=DEFAULT_TIMEOUT_S, alias="timeoutSeconds"
    )
    insecure: bool = False
    ca_file: Text | None = None
    authentication: Authentication = Authentication()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.body and self.json_body is not None:
            raise ValueError("takes body or jsonBody, not both")
        if self.method == "GET" and (self.body or self.json_body is not None):
            raise ValueError("a GET has no body: give method POST or PUT")
        return self


class Web:
    """The provider."""

    def __init__(self, clients: Clients) -> None:
        self._clients: Final = clients

    def check(self, settings: Mapping[str, Any]) -> list[str]:
        """What is wrong with settings in which arguments may still be unfilled."""
        return find_problems(WebSettings, settings)

    async def measure(self, settings: Mapping[str, Any], subject: Subject) -> Reading:
        """See `Provider`."""
        metric = read_settings(WebSettings, settings)
        call = Call(
            method=metric.method,
            url=metric.url,
            timeout_s=metric.timeout_s,
            max_bytes=MAX_ANSWER_BYTES,
            tls=Tls(metric.insecure, metric.ca_file),
            headers=_headers(metric),
            proof=await make_proof(metric.authentication),
            content=_content(metric),
        )
        answer = await self._clients.call(call)
        if not 200 <= answer.status < 300:
            raise ProviderError(f"{call.origin} answers HTTP {answer.status}")
        return _reading(answer.body, metric.json_path)


def _headers(metric: WebSettings) -> tuple[Header, ...]:
    named = any(header.key.lower() == "content-type" for header in metric.headers)
    if metric.json_body is None or named:
        return metric.headers
    return (_JSON, *metric.headers)


def _content(metric: WebSettings) -> bytes | None:
    if metric.json_body is not None:
        return json.dumps(metric.json_body).encode()
    return metric.body.encode() if metric.body else None


def _reading(body: bytes, path: str) -> Reading:
    try:
        document = json.loads(body, parse_int=float, parse_constant=_refuse)
    except RecursionError:
        raise ProviderError("the answer is JSON that is nested too deeply") from None
    except ValueError:
        return Reading(value=body.decode(errors="replace"))
    for value in _find(path, document):
        return Reading(value=value)
    return Reading(value=None, no_data=True)


def _find(path: str, document: Any) -> list[Any]:
    try:
        return list(parse_json_path(path).find(document))
    except ValueError as error:
        raise ProviderError(f"jsonPath: {error}") from None


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON")  # RFC 8259 §6
