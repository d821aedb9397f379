"""One evaluation of a condition: what it may still spend."""

from typing import Final

from router.analysis.conditions.errors import ConditionError

MAX_STEPS: Final = 200_000
"""Nodes evaluated and elements looked at; a predicate over 10 000 elements needs about 40 000."""

MAX_MEMORY: Final = 1_000_000
"""Elements of arrays and characters of strings made, in all (expr's own budget)."""


class Run:
    """Counts what an evaluation spends; `result` is the raw measured value.

    Without these bounds twenty doublings (`let b = a + a; …`) would fill the memory, and nested
    predicates would take as long as they like.
    """

    __slots__ = ("_memory", "_steps", "result")

    def __init__(self, result: object) -> None:
        self.result = result
        self._steps = MAX_STEPS
        self._memory = MAX_MEMORY

    def step(self, count: int = 1) -> None:
        """Spend time.

        Raises:
            ConditionError: there is none left.
        """
        self._steps -= count
        if self._steps < 0:
            raise ConditionError(f"step budget exceeded: condition takes over {MAX_STEPS} steps")

    def step_over(self, text: str) -> None:
        """Spend the time of looking through a text: a step for every hundred characters."""
        self.step(len(text) // 100)

    def take(self, size: int) -> None:
        """Spend memory, before it is taken.

        Raises:
            ConditionError: there is none left.
        """
        self._memory -= size
        if self._memory < 0:
            raise ConditionError("memory budget exceeded")
