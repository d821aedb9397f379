"""Several questions asked of one experiment."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of any false alarm among them stays what each promises.

    Holm 1979 (Scand J Stat 6:65-70); valid however the questions depend on each other.
    """
    count = len(p_values)
    adjusted = [1.0] * count
    so_far = 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda index: p_values[index])):
        so_far = max(so_far, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = so_far
    return adjusted
