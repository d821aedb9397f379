"""Hide what configured paths lead to in a JSON document.  Pure."""

from collections.abc import Iterable
from typing import Any, Final

from router.comparison.json_paths import Path, places

MARKER: Final = "[redacted]"
"""What stands where something was hidden."""


def hide(document: Any, paths: Iterable[Path]) -> Any:
    """The document with a marker in every place that a path leads to; changes it where it is."""
    root = [document]
    for path in paths:
        for container, key in places(root, path):
            container[key] = MARKER
    return root[0]
