"""Whatever stands in a field, the answer is a configuration or problems that name their place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.config import ConfigProblems, check, compile_snapshot, load
from router.config.source import read_source

FULL = Path(__file__).parents[3] / "config" / "full.yaml"
DOCUMENT = read_source(str(FULL)).value
# The files that it names stand elsewhere now.
DOCUMENT["analysisTemplates"][0] = str(FULL.parent / "analysis" / "model-quality.yaml")
DOCUMENT["routes"][2]["strategy"]["fromManifest"] = str(FULL.parent / "rollouts/embeddings.yaml")


def _ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield way
    items = value.items() if isinstance(value, dict) else enumerate(value or ())
    for key, item in items if isinstance(value, (dict, list)) else ():
        yield from _ways(item, (*way, key))


def _changed(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    if not way:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = _changed(value[way[0]], way[1:], new)
    return copy


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "path", "a", "<<"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(way=st.sampled_from(list(_ways(DOCUMENT))), new=ANYTHING)
def test_a_changed_field_is_accepted_or_refused_with_its_line(
    way: tuple[Any, ...], new: Any, tmp_path_factory: Any
) -> None:
    file = tmp_path_factory.mktemp("fuzz") / "router.yaml"
    text = json.dumps(_changed(DOCUMENT, way, new), indent=1)
    file.write_text(text, encoding="utf-8")
    (report,) = check([file]).files
    if report.problems:
        assert all(item.line and item.message for item in report.problems), report
        with pytest.raises(ConfigProblems):
            load(file)
    else:
        compile_snapshot(load(file), 1)
