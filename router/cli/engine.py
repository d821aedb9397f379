"""`mock-engine`: a simulated model server to try things against."""

from typing import Any, Final

import typer

PASS_THROUGH: Final[dict[str, Any]] = {
    "context_settings": {
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
    "add_help_option": False,
}
"""The engine has options of its own, and its own `--help`."""


def mock_engine(context: typer.Context) -> None:
    """Run a simulated model server (its options: mock-engine --help)."""
    from router.mock_engine.arguments import main  # loads a web server: only where it is needed

    raise typer.Exit(main(context.args, program="inference-router mock-engine"))
