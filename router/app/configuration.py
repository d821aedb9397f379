"""The configuration as a process that serves needs it: right in itself, and its secrets there."""

from pathlib import Path

from router.admin.tokens import read_credentials
from router.config import Config, load
from router.config.address import Address
from router.config.problems import ConfigProblems
from router.config.source import read_source
from router.config.tls import find_in_server
from router.errors import ConfigError


def prove_tls(path: Path, config: Config) -> None:
    """Read the files of `server.tls` as the workers will.

    Only when the router starts: later they are replaced under it, and a moment in which they do
    not fit each other is no reason to refuse a configuration.

    Raises:
        ConfigProblems: with the line that names the file.
    """
    found = find_in_server(config.server)
    if found is not None:
        source = read_source(str(path))
        raise ConfigProblems([source.problem(found.path, found.message)])


def load_to_serve(path: Path, admin_host: str | None = None) -> Config:
    """Read a configuration; `admin_host` is where the admin port is bound already.

    Raises:
        ConfigError: it cannot be used, a token's digest is not where it says, or the last token
            has gone while others than this host can reach the admin port.
    """
    config = load(path)
    read_credentials(config.auth)
    if admin_host is not None and not config.auth.tokens and not Address(admin_host, 0).loopback:
        raise ConfigError(
            f"auth.tokens: the admin port listens on {admin_host}, where others can reach it: "
            "it needs a token (or a restart with server.admin on loopback)"
        )
    return config
