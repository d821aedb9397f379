"""A simulated model server: the shapes, the timing and the faults of a real one, no accelerator.

Glossary:
    engine     one simulated model server: its batch, its faults, its journal
    batch      the sequences that run together, and the queue of those that wait (pure)
    sequence   one answer on its way through the batch: prompt tokens in, output tokens out
    generation a sequence as the server sees it: something to wait for
    exchange   one HTTP request and its answer
    shape      how one protocol writes an answer: OpenAI chat, OpenAI text, TGI
    fault      a thing that goes wrong on demand, at a chosen rate
    journal    the last requests, what became of them, and the counts

It stands alone: nothing else of `router` is imported, so that a bug of the router
cannot hide in the server that tests it.
"""

from router.mock_engine.app import MockApp, create_app
from router.mock_engine.engine import Engine
from router.mock_engine.faults import Faults
from router.mock_engine.server import RunningEngine, run, serve, serving
from router.mock_engine.settings import EngineSettings

__all__ = [
    "Engine",
    "EngineSettings",
    "Faults",
    "MockApp",
    "RunningEngine",
    "create_app",
    "run",
    "serve",
    "serving",
]
