"""Secret values: they reach a provider's settings and nothing else.

No `repr`, `str`, comparison or encoder shows one; `redact` removes them from texts that others
wrote and that are about to be kept.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

_STARS: Final = "*****"


class Secret:
    """A text that is never shown; `reveal` is called where it leaves for the provider."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text: Final = text

    def __repr__(self) -> str:
        return "<secret>"

    def reveal(self) -> str:
        """The text itself; never keep what this returns."""
        return self._text


Secrets = Mapping[str, Secret]
"""Secret values by the names of their arguments."""

NO_SECRETS: Final[Secrets] = {}


def redact(value: Any, secrets: Secrets) -> Any:
    """Replace secrets by stars in a text, or in every text of a structure, keys included."""
    texts = {form for secret in secrets.values() for form in _forms(secret.reveal())}
    # The longest first: a secret may be a part of another.
    hidden = sorted(texts - {""}, key=len, reverse=True)
    return _redact(value, hidden) if hidden else value


def _forms(text: str) -> set[str]:
    """A secret as it stands, inside a URL, and inside JSON."""
    return {text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1]}


def _redact(value: Any, hidden: list[str]) -> Any:
    if isinstance(value, str):
        for text in hidden:
            value = value.replace(text, _STARS)
        return value
    if isinstance(value, Mapping):
        return {_redact(key, hidden): _redact(item, hidden) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redact(item, hidden) for item in value]
    # A secret of digits comes back from JSON as a number.
    return _STARS if str(value) in hidden else value
