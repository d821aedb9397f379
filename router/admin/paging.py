"""Pages of routes in the order of their names: a page goes on also where its last route is gone."""

from collections.abc import Iterable
from dataclasses import dataclass

from router.admin.requests import PageParameters


@dataclass(frozen=True, slots=True)
class Page:
    """`total` counts all routes that match; `following` is the next page's `after`, if any."""

    names: tuple[str, ...]
    total: int
    following: str | None


def page_of(names: Iterable[str], wanted: PageParameters) -> Page:
    """The page that was asked for."""
    text = (wanted.search or "").casefold()
    found = sorted(name for name in names if text in name.casefold())
    rest = found if wanted.after is None else [name for name in found if name > wanted.after]
    page = tuple(rest[: wanted.limit])
    return Page(page, len(found), page[-1] if len(rest) > len(page) else None)
