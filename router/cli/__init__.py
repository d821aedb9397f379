"""The command line: one module for each group of commands.

Exit status: 0 done, 1 refused or failed, 2 the command line itself was wrong.
"""

import typer

from router import __version__
from router.cli import check, demo, engine, explain, serve

main = typer.Typer(
    name="inference-router",
    help="A progressive-delivery proxy for model servers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
main.command()(serve.serve)
main.command()(check.check)
main.command()(explain.explain)
main.command()(demo.demo)
main.command("mock-engine", **engine.PASS_THROUGH)(engine.mock_engine)


@main.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
