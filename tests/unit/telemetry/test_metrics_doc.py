"""docs/metrics.md lists what the code exports."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from router.telemetry.families import ALL

PAGE: Final = Path(__file__).parents[3] / "docs" / "metrics.md"
_ROW: Final = re.compile(r"\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|")


def test_the_page_of_metrics_has_every_family_with_its_labels_and_its_words() -> None:
    rows = [
        (name, kind, tuple(re.findall(r"\w+", labels)), words)
        for name, kind, labels, words in _ROW.findall(PAGE.read_text())
    ]
    assert rows == [(each.name, each.kind.value, each.labels, each.help) for each in ALL]
