"""Tell what differs between two answers to one request.  Pure.

answer       what a model server said to one request, or how it failed to
field        one comparable part of an answer: status, text, tool calls, a tensor …
comparison   what `compare` finds: every field, the same or not, and by which rule
judgement    what a difference means, given how much the stable version differs from itself

The fields are a closed set (`Field`): they are shown in reports and counted.
"""

from router.comparison.answer import Answer as Answer
from router.comparison.answer import Outcome as Outcome
from router.comparison.compare import compare as compare
from router.comparison.compare import judge as judge
from router.comparison.result import Comparison as Comparison
from router.comparison.result import Difference as Difference
from router.comparison.result import Field as Field
from router.comparison.result import Judgement as Judgement
from router.comparison.result import Verdict as Verdict
from router.comparison.rules import Rules as Rules
