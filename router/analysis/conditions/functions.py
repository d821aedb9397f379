"""Every function that a condition may call without a predicate; there is no other."""

from collections.abc import Mapping
from typing import Final

from router.analysis.conditions.argo_functions import ARGO_FUNCTIONS
from router.analysis.conditions.array_functions import ARRAY_FUNCTIONS
from router.analysis.conditions.number_functions import NUMBER_FUNCTIONS
from router.analysis.conditions.signatures import Function
from router.analysis.conditions.text_functions import TEXT_FUNCTIONS
from router.analysis.conditions.value_functions import VALUE_FUNCTIONS

FUNCTIONS: Final[Mapping[str, Function]] = {
    **VALUE_FUNCTIONS,
    **NUMBER_FUNCTIONS,
    **TEXT_FUNCTIONS,
    **ARRAY_FUNCTIONS,
    **ARGO_FUNCTIONS,
}

TIME_FUNCTIONS: Final = frozenset(("now", "date", "duration", "timezone"))
"""Known to the language, refused in conditions: a verdict must not depend on when it is asked."""
