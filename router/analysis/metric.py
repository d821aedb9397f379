"""One metric of a run, as it was understood: frozen when the run starts.

Units: times in seconds.  Limits are counts that are still tolerated, as in Argo Rollouts.
"""

from typing import Any, Final

import msgspec

from router.analysis.phases import Compat, NoData

DEFAULT_KEPT: Final = 10
MAX_KEPT: Final = 10_000
DEFAULT_ERROR_LIMIT: Final = 4
DEFAULT_MIN_ERROR_DURATION_S: Final = 60.0
OFF: Final = -1
"""A `failure_limit` that never fails."""


class MetricSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a metric is measured, judged and repeated.

    `settings` are the provider's, places of arguments unfilled.  `interval_s` None: measured
    once.  `count` None: until the run ends.  `open_ended`: Argo would measure for ever; `count`
    is then our bound, and what was measured by the run's deadline is enough.  `no_data` None: a
    missing value is judged by the conditions, as Argo does.  `min_error_duration_s` binds only
    where `compat` is `router`.
    """

    name: str
    provider: str
    settings: dict[str, Any]
    success_condition: str = ""
    failure_condition: str = ""
    interval_s: float | None = None
    initial_delay_s: float = 0.0
    count: int | None = 1
    failure_limit: int = 0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = DEFAULT_ERROR_LIMIT
    consecutive_success_limit: int = 0
    compat: Compat = Compat.ARGO
    no_data: NoData | None = None
    min_requests: int | None = None
    min_error_duration_s: float = DEFAULT_MIN_ERROR_DURATION_S
    open_ended: bool = False
    dry_run: bool = False
    kept: int = DEFAULT_KEPT


def effective_count(count: int, interval_s: float | None) -> int | None:
    """How often a metric is measured; 0 counts as not set.  None: until the run ends.

    Argo: `pkg/apis/rollouts/v1alpha1/analysis_types.go:EffectiveCount`.
    """
    if count:
        return count
    return 1 if interval_s is None else None
