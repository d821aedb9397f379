"""`demo`: the router at work, to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.output import fail


def demo(
    seconds: Annotated[
        float | None,
        typer.Option(min=1, envvar="DEMO_SECONDS", help="end by itself; without it: on Ctrl-C"),
    ] = None,
) -> None:
    """Release a good version and a bad one on this machine, with live traffic, and show them."""
    from rich.console import Console  # with all below 0.3 s that no other command pays

    from router.demo import CANARY, DemoError, run

    try:
        run(CANARY, seconds, Console())
    except (DemoError, OSError) as error:
        fail(f"demo: {error}")
