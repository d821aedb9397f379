"""The composition root: the only place that sees both planes.

    create_app(config)   both planes as one ASGI application, in one process
    supervisor.run       `serve`: one control process and N workers
    control, worker      what the supervisor starts
    child, rolling       one slot and who comes after it; all of them, one by one
    tether               what supervisor and children say to each other

Nothing is imported here at once: workers are started from this package, and must not load the
configuration's libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from router.app.embedded import EmbeddedRouter
    from router.config import Config


def create_app(config: Config | str | Path, *, admin_path: str = "/-") -> EmbeddedRouter:
    """Both planes in one ASGI application; the admin port's paths stand below `admin_path`.

    Raises:
        ConfigError: the file cannot be used.
    """
    from router.app.embedded import EmbeddedRouter
    from router.config import Config, load

    if isinstance(config, Config):
        return EmbeddedRouter(lambda: config, config, admin_path)
    return EmbeddedRouter(lambda: load(config), load(config), admin_path)
