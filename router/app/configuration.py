"""The configuration as a process that serves needs it: right in itself, and its secrets there."""

from pathlib import Path

from router.admin.tokens import read_credentials
from router.config import Config, load
from router.config.address import Address
from router.errors import ConfigError


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
