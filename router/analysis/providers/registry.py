"""Every provider by its kind: the one way to a measurement.

Guarantees (each is a test in tests/unit/analysis/test_provider_registry.py):
  * `measure` ends within the deadline with a reading or a ProviderError, never another error;
  * at most `concurrency` measurements of one kind run at a time: a kind that hangs holds up no
    other.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol, Self

from router.analysis.providers.base import Provider, ProviderError, Reading, Subject
from router.analysis.providers.http import Clients
from router.analysis.providers.prometheus import Prometheus
from router.analysis.providers.router import RouterMetrics
from router.analysis.providers.settings import MAX_TIMEOUT_S
from router.analysis.providers.shadow import Reports, ShadowComparisons, no_reports
from router.analysis.providers.web import Web
from router.telemetry.windows import History

log: Final = logging.getLogger(__name__)

CONCURRENCY: Final = 20
DEADLINE_S: Final = MAX_TIMEOUT_S + 30.0
"""The longest time-out of a provider, and some time to wait for a place."""


class CheckedProvider(Provider, Protocol):
    """A provider that knows at configuration time what cannot work."""

    def check(self, settings: Mapping[str, Any]) -> list[str]:
        """What is wrong with settings in which arguments may still be unfilled."""
        ...


class Providers:
    """The providers that there are; `aclose` after the last measurement."""

    def __init__(
        self,
        providers: Mapping[str, CheckedProvider],
        *,
        clients: Clients | None = None,
        concurrency: int = CONCURRENCY,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._providers: Final = dict(providers)
        self._clients: Final = clients
        self._places: Final = {kind: asyncio.Semaphore(concurrency) for kind in providers}
        self._deadline_s: Final = deadline_s

    @classmethod
    def standard(
        cls,
        history: History,
        prometheus: Mapping[str, Any] | None = None,
        reports: Reports = no_reports,
    ) -> Self:
        """All that come with the router; `prometheus` is the server of templates that name none.

        `reports` tells what is known of a route's shadow.
        """
        clients = Clients()
        return cls(
            {
                "router": RouterMetrics(history),
                "shadow": ShadowComparisons(reports),
                "prometheus": Prometheus(clients, prometheus),
                "web": Web(clients),
            },
            clients=clients,
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of providers that there are."""
        return tuple(self._providers)

    def check(self, kind: str, settings: Mapping[str, Any]) -> list[str]:
        """What can be known to be wrong before arguments are filled in."""
        provider = self._providers.get(kind)
        return [self._unknown(kind)] if provider is None else provider.check(settings)

    async def measure(self, kind: str, settings: Mapping[str, Any], subject: Subject) -> Reading:
        """Ask the provider of this kind once.

        Raises:
            ProviderError: there is no value to judge.
        """
        provider = self._providers.get(kind)
        if provider is None:
            raise ProviderError(self._unknown(kind))
        try:
            async with asyncio.timeout(self._deadline_s), self._places[kind]:
                return await provider.measure(settings, subject)
        except TimeoutError:
            raise ProviderError(f"{kind}: no value in {self._deadline_s:g} s") from None
        except ProviderError as error:
            raise ProviderError(f"{kind}: {error}") from None
        except Exception as error:
            # Its text may quote a secret, so only its kind is told.
            log.error("provider %s has a defect: %s", kind, type(error).__name__)
            raise ProviderError(f"{kind}: a defect ({type(error).__name__})") from None

    async def aclose(self) -> None:
        """Close every connection."""
        if self._clients is not None:
            await self._clients.aclose()

    def _unknown(self, kind: str) -> str:
        return f'there is no provider "{kind}": there are {", ".join(self.kinds)}'
