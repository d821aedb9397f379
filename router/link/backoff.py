"""How long to wait before the next try: pure, the chance comes in as an argument."""

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Doubles from `first_s` up to `limit_s`; `reset` after a success."""

    first_s: float
    limit_s: float
    failures: int = 0

    def next_s(self, draw: float = 1.0) -> float:
        """Book one more failure; `draw` in 0..1 spreads retries over the upper half of the wait.

        Full jitter down to 0 would make a lone client hammer; half of it is enough to spread many.
        """
        wait_s: float = min(self.limit_s, self.first_s * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return wait_s * (0.5 + 0.5 * draw)

    def reset(self) -> None:
        """The last try succeeded."""
        self.failures = 0
