"""The language of successCondition and failureCondition: expr v1.17, as Argo Rollouts uses it.

Pure.  A condition comes from a template that anyone may have written, and its values from another
system, so: no Python code is ever made of it, no attribute of a value is ever read, and length,
depth, steps and memory are bounded (`grammar`, `run`); regular expressions run in linear time.

tokens, grammar, nodes        text to tree
static_types, operators, signatures, checker    what Argo would refuse to compile
values, arithmetic, fetch, interpreter          what a tree is worth for a value
*_functions, functions        what can be called
regex                         `matches`
condition, verdict, lint      what the rest of the analysis asks for
instants                      the time expressions of range queries, a language of their own
"""

from router.analysis.conditions.condition import Condition, parse
from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.instants import evaluate_time
from router.analysis.conditions.lint import warnings
from router.analysis.conditions.verdict import Outcome, Verdict, judge

__all__ = [
    "Condition",
    "ConditionError",
    "Outcome",
    "Verdict",
    "evaluate_time",
    "judge",
    "parse",
    "warnings",
]
