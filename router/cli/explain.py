"""`explain`: where a request would go, and why, without sending it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from router.cli.documents import Explanation, read
from router.cli.output import fail, plain
from router.cli.session import Session, against_server
from router.cli.words import percent
from router.errors import ConfigError


@against_server
def explain(
    session: Session,
    path: Annotated[str, typer.Option(help="the request's path")],
    file: Annotated[
        Path | None, typer.Argument(help="a configuration file; without it the server is asked")
    ] = None,
    method: Annotated[str, typer.Option(help="its method")] = "POST",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="'name: value', as often as needed")
    ] = None,
    body: Annotated[str, typer.Option(help="its body, or @FILE")] = "",
) -> None:
    """Tell which route and version would answer a request: by the weights of a file, or of now."""
    headers = [_header(text) for text in header or []]
    if file is not None:
        document = _explain_by_file(file, path, method, headers, _body(body))
    else:
        question = {"method": method, "path": path, "headers": _first(headers)}
        document = session.client.ask("explain", body={**question, "body": _text(_body(body))})
    explanation = read(document, Explanation)
    session.show(document, lambda _: _tell(explanation))
    if explanation.route is None:
        raise typer.Exit(1)


def _explain_by_file(
    file: Path, path: str, method: str, headers: list[tuple[str, str]], body: bytes
) -> dict[str, Any]:
    from router.config import compile_snapshot, load  # 0.4 s that no other command pays
    from router.controller.explain import Request
    from router.controller.explain import explain as explain_request

    try:
        snapshot = compile_snapshot(load(file), 1)
    except ConfigError as error:
        fail(error)
    document = asdict(explain_request(snapshot, Request(path, method, headers, body)))
    document["upstreamModel"] = document.pop("upstream_model")  # as the admin API names it
    return document


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{text!r} is not `name: value`", param_hint="--header")
    return name.strip(), value.strip()


def _first(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Of headers with one name the first counts, as it does in the data plane."""
    return {name.lower(): value for name, value in reversed(headers)}


def _body(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{text[1:]}: {error.strerror}", param_hint="--body") from None


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise typer.BadParameter(
            "a server can only be asked about text", param_hint="--body"
        ) from None


def _tell(explanation: Explanation) -> None:
    for reason in explanation.why:
        typer.echo(f"- {plain(reason)}")
    if explanation.route is None:
        typer.echo("refused")
        return
    typer.echo(f"route {plain(explanation.route)}")
    if explanation.version is not None:
        endpoints = ", ".join(explanation.endpoints)
        typer.echo(plain(f"version {explanation.version} at {endpoints}"))
    for version, share in (explanation.shares or {}).items():
        typer.echo(plain(f"version {version}: {percent(share)}"))
