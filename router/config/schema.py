"""The configuration's JSON Schema, for editors and for CI of the people who write it.

It knows shapes, names and descriptions.  What it cannot say (that a version exists, that weights
sum to 100) only `check` finds.
"""

from typing import Any, Final

from router.config.root import Config

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Make the schema of the whole file (JSON Schema draft 2020-12)."""
    schema = Config.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": DIALECT,
        **schema,
        "title": "inference-router configuration",
    }
