"""The configuration's Prometheus, for templates that name none.

It is filled in when something is measured, not when the configuration is read: a token in a file
may be another one by then.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from router.analysis.providers.base import Reading, Subject
from router.config.models.outside import Prometheus
from router.controller.secrets import read_headers

KIND: Final = "prometheus"


class Measuring(Protocol):
    """What asks providers (`router.analysis.providers.registry.Providers`)."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of providers that there are."""
        ...

    async def measure(self, kind: str, settings: Mapping[str, Any], subject: Subject) -> Reading:
        """Ask one of them once."""
        ...


def with_default(
    kind: str, settings: Mapping[str, Any], server: Prometheus | None
) -> Mapping[str, Any]:
    """A metric's settings, complete; what is said of the server goes to no other address.

    Raises:
        SecretError: a header of the server is not where it should be.
    """
    if kind != KIND or server is None or settings.get("address"):
        return settings
    headers = read_headers(server.headers)
    default = {
        "address": server.address,
        "headers": [{"key": key, "value": value} for key, value in headers.items()],
    }
    return {**default, **{name: value for name, value in settings.items() if name != "address"}}
