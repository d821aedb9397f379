"""Recorded pairs of answers: evidence to look at, bounded, apart from the state.

They have a file of their own beside the state's: two hundred pairs a second must not stand in the
way of a weight that has to move, and losing the last second of them loses no decision.

base      the port: what every pair store promises
memory    for embedding and tests: promises everything but to outlive the process
sqlite    one file, one writer: the default

Below them: `document`, and for SQLite `writer` `prune` `queries` `schema`.
"""

from router.store.pairs.base import KeptPair as KeptPair
from router.store.pairs.base import PairStore as PairStore
from router.store.pairs.base import Retention as Retention
