"""What every command that calls a server shares: its options, the connection, how it fails.

A token is never repeated: not in a message, not in a repr, not in `--help`.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec
from urllib.parse import urlsplit

import typer

from router.cli.failures import CommandError
from router.cli.output import Output, OutputOption, print_json, survive_any_encoding

if TYPE_CHECKING:
    from router.cli.client import AdminClient

P = ParamSpec("P")

DEFAULT_SERVER: Final = "http://127.0.0.1:8081"
SERVER_VARIABLE: Final = "INFERENCE_ROUTER_URL"
TOKEN_VARIABLE: Final = "INFERENCE_ROUTER_TOKEN"  # noqa: S105  the variable's name
MAX_TOKEN_FILE_BYTES: Final = 64 * 2**10

ServerOption = Annotated[
    str, typer.Option("--server", envvar=SERVER_VARIABLE, help="the router's admin address")
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        help=f"better {TOKEN_VARIABLE} or --token-file: others can see command lines",
    ),
]
TokenFileOption = Annotated[
    Path | None, typer.Option("--token-file", help="a file that holds the token")
]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, help="seconds to wait for it")]


class Session:
    """One command's server and reader; connects when it is first asked to."""

    def __init__(self, url: str, token: str | None, timeout_s: float, output: Output) -> None:
        self.url: Final = url
        self.output: Final = output
        self._token: Final = token
        self._timeout_s: Final = timeout_s
        self._client: AdminClient | None = None

    @property
    def client(self) -> AdminClient:
        """The server's admin API."""
        if self._client is None:
            self._client = self.connect()
        return self._client

    def connect(self) -> AdminClient:
        """Another client of the same server, for another thread; who asks for it closes it."""
        from router.cli.client import AdminClient, Server  # 0.1 s that no other command pays

        return AdminClient(Server(_checked_url(self.url), self._token, self._timeout_s))

    @property
    def has_token(self) -> bool:
        """Whether calls say who makes them."""
        return self._token is not None

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()

    def show(self, document: Any, tell: Callable[[Any], None]) -> None:
        """Print an answer: as it is for programs, by `tell` for people."""
        if self.output is Output.JSON:
            print_json(document)
        else:
            tell(document)


def against_server(command: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Give a command its session, and its users the options that a session is made of.

    A call that fails is told here, in one way for all commands, and ends with 1.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    shared = list(inspect.signature(_open, eval_str=True).parameters.values())
    options = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *shared)]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        with _open(**{each.name: given.pop(each.name) for each in shared}) as session:
            command(session, **given)  # type: ignore[call-arg]  # typer gives what is in `own`

    # typer reads both: the options of a command are its parameters.
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in options}
    return run


@contextmanager
def _open(
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    timeout: TimeoutOption = 30.0,
    output: OutputOption = Output.TEXT,
) -> Iterator[Session]:
    survive_any_encoding()
    session = Session(server, _find_token(token, token_file), timeout, output)
    try:
        yield session
    except CommandError as error:
        _tell_failure(error, session)
        raise typer.Exit(1) from None
    finally:
        session.close()


def _tell_failure(error: CommandError, session: Session) -> None:
    from router.cli.refusal import told

    typer.echo(told(error, has_token=session.has_token), err=True)
    if session.output is Output.JSON:
        print_json(error.document)


def _checked_url(url: str) -> str:
    """`scheme://host[:port][/prefix]` without a slash at its end."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or not url.isprintable():
        raise typer.BadParameter(
            f"not an address such as {DEFAULT_SERVER}", param_hint=f"--server / {SERVER_VARIABLE}"
        )
    if parts.username is not None or parts.password is not None:
        raise typer.BadParameter(
            "an address has no user and no password; the router knows people by --token-file",
            param_hint=f"--server / {SERVER_VARIABLE}",
        )
    return url.rstrip("/")


def _find_token(token: str | None, file: Path | None) -> str | None:
    if token is not None and file is not None:
        raise typer.BadParameter("give --token or --token-file, not both", param_hint="--token")
    if file is not None:
        return _checked_token(_read_token(file), "--token-file")
    if token is not None:
        return _checked_token(token, "--token")
    if found := os.environ.get(TOKEN_VARIABLE, ""):
        return _checked_token(found, TOKEN_VARIABLE)
    return None


def _read_token(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as text:
            return text.read(MAX_TOKEN_FILE_BYTES)
    except OSError as error:
        reason: str | None = error.strerror
    except UnicodeDecodeError:
        reason = "it is not text"
    raise typer.BadParameter(f"{file}: {reason}", param_hint="--token-file")


def _checked_token(text: str, place: str) -> str:
    """What an HTTP header can carry; anything else would come back in an error's text."""
    token = text.strip()
    if not token:
        raise typer.BadParameter("holds no token", param_hint=place)
    if not all("!" <= char <= "~" for char in token):
        raise typer.BadParameter("a token is printable ASCII without spaces", param_hint=place)
    return token
