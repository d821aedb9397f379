"""The configuration file: read it, refuse it with reasons, compile it.

    load(path) -> Config                      everything a router needs to know, or ConfigProblems
    check(paths) -> Report                    problems, warnings and the plan of each route
    json_schema() -> dict                     the file's JSON Schema
    compile_snapshot(config, generation, …)   the table that the data plane serves

Below it: `models` (a class for each section), `source` (YAML with line numbers), `units`
(durations, sizes, shares), `contradictions` (what no field can know alone).
"""

from router.config.check import FileReport, Report, check
from router.config.compile import (
    compile_route,
    compile_snapshot,
    initial_state,
    lineage_of,
)
from router.config.load import files_of, load
from router.config.plan import RoutePlan, plan_of
from router.config.problems import ConfigProblems, Problem
from router.config.root import Config
from router.config.schema import json_schema

__all__ = [
    "Config",
    "ConfigProblems",
    "FileReport",
    "Problem",
    "Report",
    "RoutePlan",
    "check",
    "compile_route",
    "compile_snapshot",
    "files_of",
    "initial_state",
    "json_schema",
    "lineage_of",
    "load",
    "plan_of",
]
