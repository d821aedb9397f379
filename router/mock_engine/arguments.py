"""The command line of an engine: every field of its settings and of its faults is an option."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

from router.mock_engine.faults import Faults
from router.mock_engine.options import flag_of
from router.mock_engine.server import run
from router.mock_engine.settings import EngineSettings

Options = type[EngineSettings] | type[Faults]


def main(arguments: Sequence[str] | None = None, *, program: str | None = None) -> int:
    """Serve as the command line says until a signal; return the exit status."""
    parser = create_parser(program)
    namespace = parser.parse_args(arguments)
    try:
        settings = settings_from(namespace)
    except ValueError as error:
        parser.error(str(error))
    try:
        run(settings, namespace.host, namespace.port)
    except OSError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    return 0


def create_parser(program: str | None = None) -> argparse.ArgumentParser:
    """A parser for every option; defaults are those of the settings."""
    parser = argparse.ArgumentParser(
        prog=program or "mock-engine",
        description="Simulate a model server: its protocols, its timing and its faults.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0: the kernel chooses")
    _add_options(parser.add_argument_group("engine"), EngineSettings)
    _add_options(parser.add_argument_group("faults"), Faults)
    return parser


def settings_from(namespace: argparse.Namespace) -> EngineSettings:
    """The settings that were parsed.

    Raises:
        ValueError: a value makes no sense.
    """
    faults = Faults(**_values(namespace, Faults))
    return EngineSettings(**_values(namespace, EngineSettings), faults=faults)


def _add_options(group: argparse._ArgumentGroup, options: Options) -> None:
    for each in _option_fields(options):
        group.add_argument(flag_of(each), **_how_to_parse(each))


def _how_to_parse(each: Field[Any]) -> dict[str, Any]:
    meaning = each.metadata["meaning"].replace("%", "%%")
    how: dict[str, Any] = {"dest": each.name, "default": each.default, "help": meaning}
    if isinstance(each.default, tuple):
        return {**how, "default": [], "action": "append", "metavar": "NAME"}
    if isinstance(each.default, bool):
        return {**how, "action": argparse.BooleanOptionalAction}
    if choices := each.metadata["choices"]:
        return {**how, "choices": choices}
    return {**how, "type": type(each.default), "metavar": type(each.default).__name__.upper()}


def _values(namespace: argparse.Namespace, options: Options) -> dict[str, Any]:
    found = {each.name: getattr(namespace, each.name) for each in _option_fields(options)}
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in found.items()
    }


def _option_fields(options: Options) -> list[Field[Any]]:
    return [each for each in fields(options) if "meaning" in each.metadata]
