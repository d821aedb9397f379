"""`explain`: where a request would go, and why, without sending it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.output import Output, OutputOption, fail, print_json
from router.errors import ConfigError

if TYPE_CHECKING:
    from router.controller.explain import Explanation


def explain(
    file: Annotated[Path, typer.Argument(help="the configuration file")],
    path: Annotated[str, typer.Option(help="the request's path")],
    method: Annotated[str, typer.Option(help="its method")] = "POST",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="'name: value', as often as needed")
    ] = None,
    body: Annotated[str, typer.Option(help="its body, or @FILE")] = "",
    output: OutputOption = Output.TEXT,
) -> None:
    """Tell which route and version would answer a request, with the weights of the file."""
    from router.config import compile_snapshot, load  # 0.4 s that no other command pays
    from router.controller.explain import Request
    from router.controller.explain import explain as explain_request

    request = Request(path, method, [_header(text) for text in header or []], _body(body))
    try:
        explanation = explain_request(compile_snapshot(load(file), 1), request)
    except ConfigError as error:
        fail(error)
    if output is Output.JSON:
        print_json(asdict(explanation))
    else:
        _print(explanation)
    if explanation.route is None:
        raise typer.Exit(1)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{text!r} is not `name: value`", param_hint="--header")
    return name.strip(), value.strip()


def _body(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{text[1:]}: {error.strerror}", param_hint="--body") from None


def _print(explanation: Explanation) -> None:
    for reason in explanation.why:
        typer.echo(f"- {reason}")
    if explanation.route is None:
        typer.echo("refused")
        return
    typer.echo(f"route {explanation.route}")
    if explanation.version is not None:
        typer.echo(f"version {explanation.version} at {', '.join(explanation.endpoints)}")
    for version, percent in (explanation.shares or {}).items():
        typer.echo(f"version {version}: {percent:g} %")
