"""Wheel and sdist: built from this tree, installed where there is no tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Final

import pytest

from router import __version__

ROOT: Final = Path(__file__).parents[2]
NAME: Final = f"inference_router-{__version__}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the packages are made from, apart: a build writes beside its sources."""
    folder = tmp_path_factory.mktemp("tree") / "inference-router"
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "router", folder / "router", ignore=without)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    static = folder / "router" / "admin" / "static"
    static.mkdir(exist_ok=True)
    (static / "sentinel.css").write_text("/* a file of a kind that nobody listed */")
    return folder


@pytest.fixture(scope="module")
def packages(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made from it; no network was asked."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", f"--outdir={folder}", str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def installed(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with the wheel; the dependencies are those of this Python."""
    environment = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    wheel = packages / f"{NAME}-py3-none-any.whl"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    command += ["--disable-pip-version-check", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, env={**os.environ, "PIP_NO_INPUT": "1"})
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site_packages = environment / "lib" / version / "site-packages"
    # A folder that a .pth adds is only searched: the editable install in it does not take effect.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


def said(program: Path, *arguments: str) -> str:
    """What a program says, somewhere else than in this tree."""
    done = subprocess.run(
        [program, *arguments], cwd=program.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_both_packages_hold_every_file_of_the_router(tree: Path, packages: Path) -> None:
    there = {
        file.relative_to(tree).as_posix() for file in (tree / "router").rglob("*") if file.is_file()
    }
    with zipfile.ZipFile(packages / f"{NAME}-py3-none-any.whl") as wheel:
        in_wheel = {name for name in wheel.namelist() if name.startswith("router/")}
    with tarfile.open(packages / f"{NAME}.tar.gz") as sdist:
        files = [member.name.removeprefix(f"{NAME}/") for member in sdist if member.isfile()]
    assert in_wheel == there
    assert {name for name in files if name.startswith("router/")} == there
    assert {"router/py.typed", "router/admin/static/sentinel.css"} < there


def test_the_wheel_holds_nothing_but_the_router(packages: Path) -> None:
    with zipfile.ZipFile(packages / f"{NAME}-py3-none-any.whl") as wheel:
        tops = {name.partition("/")[0] for name in wheel.namelist()}
        metadata = wheel.read(f"{NAME}.dist-info/METADATA").decode()
    assert tops == {"router", f"{NAME}.dist-info"}
    assert f"\nVersion: {__version__}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata


def test_the_installed_command_is_that_of_the_wheel(installed: Path) -> None:
    where = "import router; print(router.__file__)"
    assert said(installed / "python", "-c", where).startswith(str(installed.parent))
    assert said(installed / "inference-router", "version") == f"{__version__}\n"


def test_the_installed_command_checks_a_configuration(installed: Path) -> None:
    file = str(ROOT / "config" / "minimal.yaml")
    assert ": ok" in said(installed / "inference-router", "check", file)
    assert '"$schema"' in said(installed / "inference-router", "check", "--schema")


def test_every_module_of_the_wheel_can_be_imported(installed: Path) -> None:
    walk = (
        "import importlib, pkgutil, router\n"
        "names = [m.name for m in pkgutil.walk_packages(router.__path__, 'router.')]\n"
        "[importlib.import_module(n) for n in names if not n.endswith('__main__')]\n"
        "print(len(names))"
    )
    assert int(said(installed / "python", "-c", walk)) > 100
