"""What goes wrong with a condition."""

from router.errors import RouterError


class ConditionError(RouterError):
    """A condition cannot be compiled, or cannot be evaluated for this result.

    The text is the one that Argo Rollouts gives where it has one, so it names no place; `column`
    (from 1) is where in the condition it happened, None where only the result knows.
    """

    def __init__(self, text: str, column: int | None = None) -> None:
        super().__init__(text)
        self.column = column
