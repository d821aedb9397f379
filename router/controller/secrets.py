"""Where secrets are found: the environment or a file, read anew for each use.

No error shows a value; each names the place where it was looked for.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from router.analysis.secret import Secret, Secrets
from router.config.models import OutsideHeader
from router.errors import RouterError

MAX_SECRET_BYTES: Final = 64 * 1024
SECRETS_FOLDER: Final = "INFERENCE_ROUTER_SECRETS"
"""Environment variable: the folder in which an Argo `secretKeyRef` (name, key) is the file
`name/key`, as Kubernetes mounts it."""


class SecretError(RouterError):
    """A secret is not where it should be."""


def read_env(name: str) -> str:
    """The value of an environment variable.

    Raises:
        SecretError: it is not set.
    """
    if name not in os.environ:
        raise SecretError(f"environment variable {name} is not set")
    return os.environ[name]


def read_file(path: str | Path) -> str:
    """The text of a file, without white space at its end.

    Raises:
        SecretError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_SECRET_BYTES).decode().rstrip()
    except OSError as error:
        raise SecretError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretError(f"cannot read {path}: it is not text") from None
    except ValueError:
        raise SecretError(f"cannot read {path!r}: it is no name of a file") from None


def read_headers(headers: Iterable[OutsideHeader]) -> dict[str, str]:
    """Headers with their values.

    Raises:
        SecretError: one of them has none.
    """
    found = {}
    for header in headers:
        if header.value is not None:
            found[header.name] = header.value
        elif header.env is not None:
            found[header.name] = read_env(header.env)
        else:
            assert header.file is not None, "a header has one source"
            found[header.name] = read_file(header.file)
    return found


def read_arguments(sources: Mapping[str, Mapping[str, Any]]) -> Secrets:
    """The secret arguments of an analysis run.

    Raises:
        SecretError: one of them is not there.
    """
    return {name: Secret(_read_argument(name, source)) for name, source in sources.items()}


def _read_argument(name: str, source: Mapping[str, Any]) -> str:
    match source:
        case {"env": str(variable)}:
            return read_env(variable)
        case {"file": str(path)}:
            return read_file(path)
        case {"secretKeyRef": {"name": str(secret), "key": str(key)}}:
            return read_file(_mounted(name, secret, key))
    raise SecretError(f"args.{name}: its valueFrom names no secret that can be found")


def _mounted(name: str, secret: str, key: str) -> Path:
    folder = os.environ.get(SECRETS_FOLDER)
    if folder is None:
        raise SecretError(
            f"args.{name}: a secretKeyRef needs {SECRETS_FOLDER}, the folder where secrets are "
            "mounted (or use valueFrom: {env: NAME} or {file: PATH})"
        )
    if not (_is_plain(secret) and _is_plain(key)):
        raise SecretError(f"args.{name}: a secretKeyRef stays inside {SECRETS_FOLDER}")
    return Path(folder) / secret / key


def _is_plain(name: str) -> bool:
    """Whether it names something in a folder, and nothing above, below or beside it."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name
