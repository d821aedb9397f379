"""`switch`: all traffic of a route to one version, at once."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.moving import moving


@moving
def switch(
    version: Annotated[str, typer.Argument(help="the version that gets all traffic")],
) -> dict[str, object]:
    """Send all of a route's traffic to one version at once, if it is ready for it."""
    return {"to": version}
