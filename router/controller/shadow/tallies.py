"""What the pairs of each route have told so far: one tally for a route, of its present subject."""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from router.controller.shadow.subject import Subject
from router.evaluation.tally import Tally

log: Final = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """A tally, and of what it is."""

    subject: Subject
    tally: Tally


class Tallies:
    """The newest tally of every route that has one."""

    def __init__(self) -> None:
        self._kept: Final[dict[str, Kept]] = {}

    def get(self, route: str) -> Kept | None:
        """What is known of a route, whatever its subject is by now."""
        return self._kept.get(route)

    def of(self, route: str, subject: Subject, now_s: float) -> Tally:
        """The subject's tally; another subject's begins anew."""
        kept = self._kept.get(route)
        if kept is None or kept.subject != subject:
            tally = Tally(stable=subject.stable, shadow=subject.shadow, since_s=now_s)
            kept = self._kept[route] = Kept(subject, tally)
        return kept.tally

    def keep(self, routes: Collection[str]) -> None:
        """Forget all other routes."""
        for gone in self._kept.keys() - set(routes):
            del self._kept[gone]

    def documents(self, routes: Iterable[str]) -> dict[str, Any]:
        """These routes' tallies as the store keeps them."""
        known = ((route, self._kept.get(route)) for route in routes)
        return {route: msgspec.to_builtins(kept) for route, kept in known if kept is not None}

    def restore(self, documents: Mapping[str, Any]) -> None:
        """Go on with what a control before us has counted; what is newer stays."""
        for route, document in documents.items():
            try:
                kept = msgspec.convert(document, Kept)
            except msgspec.MsgspecError:
                log.warning("%s: its comparisons are of another release: counted anew", route)
            else:
                self._kept.setdefault(route, kept)
