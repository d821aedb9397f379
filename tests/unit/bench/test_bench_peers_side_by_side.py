from typing import Any

from loadtests.bench.side_by_side import side_by_side


def spread(median: float) -> dict[str, float]:
    return {"median": median, "low": median, "high": median}


def measured(cell: str, proxy: str, cpu_us: float, ratio: float | None) -> dict[str, Any]:
    found = None if ratio is None else spread(ratio)
    return {"cell": cell, "proxy": proxy, "cpu_us": spread(cpu_us), "ratio": found}


def lines(document: dict[str, Any]) -> list[str]:
    return side_by_side(document).splitlines()


def test_a_row_holds_a_proxy_s_figures_and_ratios() -> None:
    document = {
        "cells": [
            measured("1kb", "nginx", 22.04, 1.0),
            measured("1kb", "litellm", 17_539.2, 797.23),
            measured("1kb", "direct", 0.0, None),
        ],
        "rate": [
            {"proxy": "nginx", "rate": 200.0, "added_p50_us": 290.4, "cpu_us": 201.0},
            {"proxy": "litellm", "rate": 25.0, "added_p50_us": 24_000.0, "cpu_us": 20_000.0},
        ],
        "peak_memory": [{"proxy": "nginx", "peak_mb": 16.9}],
        "peers": {"litellm": "1.106.2"},
    }
    assert lines(document) == [
        "| CPU-µs (ratio to nginx) | 1 KB | added p50 µs at 200/s | CPU-µs at 200/s | peak MB |",
        "| --- | --: | --: | --: | --: |",
        "| nginx | 22.0 (1.00) | 290 | 201 | 17 |",
        "| litellm (1.106.2) | 17,539 (797.23) | 24,000 (at 25/s) | 20,000 | - |",
    ]


def test_an_absent_peer_has_a_row_of_dashes_and_its_reason() -> None:
    document = {
        "cells": [measured("sse", "nginx", 16.0, 1.0)],
        "absences": [{"proxy": "envoy", "where": "start", "reason": "envoy is not installed"}],
        "peers": {"envoy": "not installed"},
    }
    assert lines(document)[2:] == [
        "| nginx | 16.0 (1.00) |",
        "| envoy (not installed) | - |",
        "",
        "* without envoy (start): envoy is not installed",
    ]


def test_without_a_yardstick_there_are_no_ratios() -> None:
    document = {"cells": [measured("50kb", "haproxy", 75.9, None)]}
    assert lines(document)[2] == "| haproxy | 75.9 |"
