"""A base image for where none can be pulled: Debian with its Python, made with debootstrap.

`BASE` in the environment names another one, which the engine then pulls.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.container.engine import DockerEngine, NoEngineError

_TAG: Final = "inference-router-test-base:bookworm"
_PACKAGES: Final = "python3,python3-venv,ca-certificates"
_NEEDLESS: Final = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
                    "var/cache", "var/lib/apt/lists")  # fmt: skip
_AUTHORITIES: Final = "etc/ssl/certs/ca-certificates.crt"


def base_image(engine: DockerEngine, directory: Path) -> str:
    """The name of a base that the engine has or can pull.

    Raises:
        NoEngineError: none is named, and debootstrap is not here.
    """
    if named := os.environ.get("BASE"):
        return named
    debootstrap = shutil.which("debootstrap", path=f"{os.environ['PATH']}:/usr/sbin")
    if debootstrap is None or os.geteuid() != 0:
        raise NoEngineError("name a base image (BASE=...), or be root and install debootstrap")
    root = directory / "root"
    command = [debootstrap, "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    _slim(root)
    _trust(root)
    archive = directory / "base.tar"
    tar = ["tar", "--create", "--numeric-owner", f"--file={archive}", f"--directory={root}", "."]
    subprocess.run(tar, check=True)
    engine.run("import", str(archive), _TAG)
    archive.unlink()
    shutil.rmtree(root)
    return _TAG


def pip_configuration(file: Path) -> Path:
    """A pip.conf with the index that this machine's pip uses, for the build's secret."""
    lines = ["[global]"]
    if index := _pip_says("global.index-url"):
        lines.append(f"index-url = {index}")
    if "BASE" not in os.environ:
        lines.append(f"cert = /{_AUTHORITIES}")
    file.touch(mode=0o600)
    file.write_text("\n".join([*lines, ""]))
    return file


def proxies() -> list[str]:
    """Build arguments without a value: the client takes it from the environment."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
    return [f"--build-arg={name}" for name in names if name in os.environ]


def _slim(root: Path) -> None:
    # What the usual slim images leave out, too.
    for name in _NEEDLESS:
        for entry in (root / name).iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _trust(root: Path) -> None:
    # Whoever this machine trusts: its way to the package index may end at a proxy of its own.
    authorities = ssl.get_default_verify_paths().cafile
    if authorities is not None:
        shutil.copyfile(authorities, root / _AUTHORITIES)


def _pip_says(key: str) -> str:
    command = [sys.executable, "-m", "pip", "config", "get", key]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
