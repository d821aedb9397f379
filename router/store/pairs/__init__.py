"""Recorded pairs of answers: evidence to look at, bounded, apart from the state.

They have a file of their own beside the state's: two hundred pairs a second must not stand in the
way of a weight that has to move, and losing the last second of them loses no decision.
"""

from router.store.pairs.base import KeptPair as KeptPair
from router.store.pairs.base import PairStore as PairStore
from router.store.pairs.base import Retention as Retention
