"""Whatever comes and whatever retention says: after `keep` a route is within it, by the newest."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from router.store.pairs import prune
from router.store.pairs.base import KeptPair, PairStore, Retention
from tests.store.kept import NOW_S, PAIR_STORES, PLENTY, kept, streamed

ROUTES = ("chat", "code")

Batch = tuple[list[KeptPair], dict[str, Retention], float]

pairs = some.builds(
    lambda route, length, age_s: kept("x" * length, route, time_s=NOW_S - age_s),
    some.sampled_from(ROUTES),
    some.integers(0, 60),
    some.integers(-50, 200),
)
retentions = some.builds(
    Retention,
    max_pairs=some.integers(0, 12),
    max_age_s=some.integers(0, 250).map(float),
    max_bytes=some.integers(0, 500),
)
batches = some.tuples(
    some.lists(pairs, max_size=15),
    some.dictionaries(some.sampled_from(ROUTES), retentions),
    some.integers(0, 100).map(lambda later_s: NOW_S + later_s),
)

scalars = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text()
)
json_values = some.recursive(
    scalars, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=20
)


def run_with(name: str, test: Callable[[PairStore], Any]) -> None:
    """A new store for each example."""

    async def run(folder: Path) -> None:
        store = PAIR_STORES[name](folder)
        await store.open()
        try:
            await test(store)
        finally:
            await store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


def within(stored: Sequence[KeptPair], kept_of: Retention | None, now_s: float) -> list[KeptPair]:
    """What retention leaves of a route, said again in the plainest way."""
    if kept_of is None:
        return []
    young = [pair for pair in stored if pair.time_s >= now_s - kept_of.max_age_s]
    newest = young[max(0, len(young) - kept_of.max_pairs) :]
    while sum(len(pair.document) + 2 for pair in newest) > kept_of.max_bytes:
        newest = newest[1:]
    return newest


def told(pair: KeptPair) -> tuple[float, str]:
    return pair.time_s, pair.document


@pytest.mark.parametrize("name", sorted(PAIR_STORES))
@pytest.mark.parametrize(
    ("slice_pairs", "slice_bytes"), [(1_000, 1 << 24), (3, 1 << 24), (1_000, 50)]
)
def test_after_keep_a_route_is_within_its_retention_by_its_newest_pairs(
    name: str, slice_pairs: int, slice_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "SLICE_PAIRS", slice_pairs)
    monkeypatch.setattr(prune, "SLICE_BYTES", slice_bytes)

    @settings(max_examples=25, deadline=None)
    @given(some.lists(batches, min_size=1, max_size=4))
    def check(asked: list[Batch]) -> None:
        async def keep_all(store: PairStore) -> None:
            expected: dict[str, list[KeptPair]] = {route: [] for route in ROUTES}
            for batch, retention, now_s in asked:
                before = sum(map(len, expected.values())) + len(batch)
                for route in ROUTES:
                    stored = expected[route] + [pair for pair in batch if pair.route == route]
                    expected[route] = within(stored, retention.get(route), now_s)
                pruned = await store.keep(batch, {}, retention, now_s)
                assert pruned == before - sum(map(len, expected.values()))
                for route in ROUTES:
                    found = await streamed(store, route)
                    assert [told(pair) for pair in found] == [told(p) for p in expected[route]]

        run_with(name, keep_all)

    check()


@pytest.mark.parametrize("name", sorted(PAIR_STORES))
def test_a_document_comes_back_whatever_its_strings_say(name: str) -> None:
    @settings(max_examples=50, deadline=None)
    @given(some.lists(json_values, max_size=5), some.text(), some.text())
    def check(values: list[Any], route: str, verdict: str) -> None:
        async def keep_all(store: PairStore) -> None:
            batch = [kept(value, route, verdict=verdict) for value in values]
            await store.keep(batch, {route: values}, {route: PLENTY}, NOW_S)
            found = await streamed(store, route, verdict=verdict)
            assert [pair.document for pair in found] == values
            assert await store.tallies() == {route: values}

        run_with(name, keep_all)

    check()
