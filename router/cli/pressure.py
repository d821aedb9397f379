"""How full a route and its versions are, in a line each; nothing where there is nothing to say."""

from collections.abc import Iterator, Mapping

from router.cli.documents import Admission, Circuit, Route


def pressure(route: Route) -> Iterator[str]:
    """What of a route waits or was refused, and every version with bounds of its own."""
    admission = route.admission
    if admission is None:  # a router of another release
        return
    if admission.queued or admission.refused or admission.shed or admission.shed_share:
        yield f"admission: {_admission(admission)}"
    for version in route.versions:
        if version.circuit is not None:
            yield f"limits of {version.name}: {_circuit(version.circuit, admission.workers)}"


def _admission(now: Admission) -> str:
    parts = [
        _places(now.in_flight, now.max_in_flight, now.workers, now.queued, now.max_queue),
        *_refused("refused", now.refused),
        *_refused("shed", now.shed),
    ]
    if now.shed_share:
        parts.append(f"now refusing up to {now.shed_share:.0%} of what is new")
    return "; ".join(parts)


def _circuit(now: Circuit, workers: int) -> str:
    places = _places(now.in_flight, now.max_in_flight, workers, now.pending, now.max_pending)
    return "; ".join([places, *_refused("refused", now.refused)])


def _places(taken: int, places: int, workers: int, waiting: int, room: int) -> str:
    return f"{taken} of {places * workers} places taken, {waiting} of {room * workers} wait"


def _refused(what: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        yield f"{what}: " + ", ".join(f"{number} {why}" for why, number in sorted(counts.items()))
