"""A store's audit trail, verified from its file: without a server, or beside one that writes."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from router.audit.chain import AuditError, Verdict, read_anchor
from router.audit.entry import Head
from router.cli.failures import StoreFailedError
from router.store import verify_trail
from router.store.base import StoreError
from router.store.location import sqlite_file
from router.store.sqlite import SqliteReader


def verify_stored(location: str, anchors: Sequence[str]) -> dict[str, Any]:
    """The verdict on a store's trail, in the words of the admin API.

    Raises:
        StoreFailedError: it cannot be read to its end.
    """
    try:
        file = sqlite_file(location)
        heads = [read_anchor(text) for text in anchors]
    except StoreError as error:
        raise typer.BadParameter(str(error), param_hint="--store") from None
    except AuditError as error:
        raise typer.BadParameter(str(error), param_hint="--anchor") from None
    try:
        return _as_document(asyncio.run(_verify_file(file, heads)))
    except StoreError as error:
        raise StoreFailedError(str(error)) from None


async def _verify_file(file: Path, anchors: Sequence[Head]) -> Verdict:
    reader = SqliteReader(file)
    await reader.open()
    try:
        return await verify_trail(reader, anchors)
    finally:
        await reader.close()


def _as_document(verdict: Verdict) -> dict[str, Any]:
    head, fault = verdict.head, verdict.fault
    document: dict[str, Any] = {
        "ok": fault is None,
        "entries": verdict.entries,
        "head": head and {"sequence": head.sequence, "hash": head.hash},
    }
    if fault is not None:
        document["firstBad"] = {
            "sequence": fault.sequence,
            "kind": fault.kind.value,
            "problem": fault.problem,
        }
    return document
