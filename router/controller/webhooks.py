"""One POST to somebody outside: bounded in time and size, and silent about where it went.

A webhook's URL is a secret (Slack's has its token in the path), and so are its headers: no
message, log or error shows them.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic import SecretStr

from router.analysis.providers.base import ProviderError
from router.analysis.providers.http import Call, Clients
from router.analysis.providers.settings import Header, Settings, Url, read_settings
from router.errors import RouterError

log: Final = logging.getLogger(__name__)

MAX_ANSWER_BYTES: Final = 1024 * 1024

_JSON: Final = Header(key="content-type", value=SecretStr("application/json"))


class WebhookError(RouterError):
    """No answer; the text says why, never from where."""


class Reply(NamedTuple):
    """What was answered; `words` are at most 300 characters, on one line."""

    status: int
    words: str

    @property
    def is_success(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300


class _Target(Settings):
    """Where a call goes; checked when it is made: a URL from a file may be anything."""

    url: Url
    headers: tuple[Header, ...]


class Webhooks:
    """Connections to everybody who is asked or told; `aclose` after the last call."""

    def __init__(self) -> None:
        self._clients: Final = Clients()
        # httpx tells every URL at INFO, and a program that embeds us may log that.
        logging.getLogger("httpx").addFilter(_is_no_url)

    async def post(
        self, url: str, document: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        """Send a JSON document, and read the answer, whatever its status.

        Raises:
            WebhookError: there is no answer within `timeout_s`, or it is too long.
        """
        try:
            call = _call(url, document, headers, timeout_s)
        except ProviderError as error:
            raise WebhookError(str(error)) from None
        try:
            answer = await self._clients.call(call)
        except ProviderError as error:
            raise WebhookError(str(error).removeprefix(call.origin).strip()) from None
        except Exception as error:
            # Its text may quote a secret, so only its kind is told.
            log.error("a webhook met a defect: %s", type(error).__name__)
            raise WebhookError(f"a defect ({type(error).__name__})") from None
        return Reply(answer.status, call.without_secrets(answer.body.decode(errors="replace")))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._clients.aclose()


def _call(url: str, document: Any, headers: Mapping[str, str], timeout_s: float) -> Call:
    named = [{"key": key, "value": value} for key, value in headers.items()]
    target = read_settings(_Target, {"url": url, "headers": named})
    return Call(
        method="POST",
        url=target.url,
        timeout_s=timeout_s,
        max_bytes=MAX_ANSWER_BYTES,
        headers=(_JSON, *target.headers),
        content=json.dumps(document).encode(),
    )


def _is_no_url(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
