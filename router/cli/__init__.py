"""The command line: one module for each group of commands.

    output      how every command speaks
    session     what commands that call a server share: options, connection, failures
    client      the admin API over HTTP; `documents` are its answers, `sse` its events
    refusal     failures with their remedies; `failures` lists them
    tables      rows for people; `words` are their figures
    standing    a rollout for people, `metrics` its analyses; `rollout_documents` are both
    shadow_report   a shadow's report for people; `shadow_documents` is what there is of shadows
    watching    a rollout looked at again and again; `wakeups` say when, `watch_views` show it

Exit status: 0 done, 1 refused or failed, 2 the command line itself was wrong.
"""

import typer

from router import __version__
from router.cli import (
    analysis,
    audit,
    check,
    demo,
    engine,
    events,
    explain,
    generation,
    reload,
    restart,
    rollback,
    rollout,
    routes,
    selftest,
    serve,
    shadow,
    switch,
    weights,
)

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
main.command()(selftest.selftest)
main.command()(routes.routes)
main.command()(weights.weights)
main.command()(switch.switch)
main.command()(rollback.rollback)
main.command()(reload.reload)
main.command()(restart.restart)
main.command()(generation.generation)
main.add_typer(rollout.app, name="rollout")
main.add_typer(analysis.app, name="analysis")
main.add_typer(shadow.app, name="shadow")
main.add_typer(audit.app, name="audit")
main.command()(events.events)
main.command()(demo.demo)
main.command("mock-engine", **engine.PASS_THROUGH)(engine.mock_engine)


@main.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
