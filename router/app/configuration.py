"""The configuration as a process that serves needs it: right in itself, and its secrets there."""

from pathlib import Path

from router.admin.tokens import read_credentials
from router.config import Config, load


def load_to_serve(path: Path) -> Config:
    """Read a configuration.

    Raises:
        ConfigError: it cannot be used, or a token's digest is not where it says.
    """
    config = load(path)
    read_credentials(config.auth)
    return config
