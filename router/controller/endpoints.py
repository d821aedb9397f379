"""The endpoints of a version as all workers see them: which there are, and their figures.

Pure.  A `dns://` endpoint is as many endpoints as it has addresses, and never one beside them; but
in metrics it is one, by its URL: addresses come from DNS and change, so they are no label's values.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from router.controller.readiness import WorkerView
from router.link.messages import EndpointHealth
from router.telemetry import families
from router.telemetry.recorder import Series

Said = Mapping[str, Sequence[EndpointHealth]]
"""What each worker says of each endpoint of one version, by label; never nothing of one."""


def list_endpoints(urls: Iterable[str], said: Said) -> list[str]:
    """The labels of all endpoints: those of the configuration in its order, then others told of.

    A `dns://` URL stands for itself only as long as no worker has told any of its addresses.
    """
    told: dict[str, list[str]] = {}
    for label, each in said.items():
        told.setdefault(each[0].endpoint, []).append(label)
    configured = [label for url in urls for label in sorted(told.pop(url, (url,)))]
    return configured + [label for others in told.values() for label in others]


def endpoint_series(workers: Collection[WorkerView]) -> Iterator[Series]:
    """What is exported of every endpoint, by its URL.

    Its health is the share of its addresses that a worker holds healthy, on the average of all
    workers; its idle time the shortest, its slow start the last to end.
    """
    held: dict[tuple[str, str, str], float] = {}
    idle: dict[tuple[str, str, str], float] = {}
    warm: dict[tuple[str, str, str], float] = {}
    for worker in workers:
        for version, endpoints in worker.endpoints.items():
            addresses = _count_addresses(endpoints.values())
            for health in endpoints.values():
                key = (*version, health.endpoint)
                among = addresses[health.endpoint] if health.address else 1
                held[key] = held.get(key, 0.0) + health.healthy / among
                if health.idle_s:
                    idle[key] = min(health.idle_s, idle.get(key, health.idle_s))
                if health.warm_until_s:
                    warm[key] = max(health.warm_until_s, warm.get(key, 0.0))
    for key, holding in held.items():
        yield Series(families.ENDPOINT_HEALTHY.name, key, holding / len(workers))
    for key, seconds in idle.items():
        yield Series(families.ENDPOINT_IDLE.name, key, seconds)
    for key, ends_at in warm.items():
        yield Series(families.ENDPOINT_WARM.name, key, ends_at)


def _count_addresses(said: Iterable[EndpointHealth]) -> dict[str, int]:
    """By URL, of those that have any; a Counter of all would make a scrape twice as long."""
    addresses: dict[str, int] = {}
    for health in said:
        if health.address:
            addresses[health.endpoint] = addresses.get(health.endpoint, 0) + 1
    return addresses
