"""A TCP proxy of our own that stands before a model server and breaks what the server says.

    async with fault_proxy(upstream.port) as proxy:
        proxy.suffer(Reset(), Truncate(5))    # the next two exchanges; later ones pass as they are
        await proxy.refuse()                  # the port refuses connections
        await proxy.accept()                  # the same port is open again

Glossary:
    exchange   one request on a connection, and its answer: it begins with the first bytes of the
               client behind an answer (nobody pipelines to a model server)
    fault      a value that says what one exchange suffers
    chooser    who says which fault the next exchange suffers: a script of a test, or a seeded draw

For a load it runs in a process of its own (`python -m tests.support.faultproxy`), which is told
what to do over its standard input and answers on its standard output (`process`).
Nothing of `router` is used here, so that a parser's bug cannot hide in the test of it.
"""

from tests.support.faultproxy.faults import (
    BlackHole,
    Delay,
    Fault,
    Finish,
    Garbage,
    Reset,
    StaleClose,
    Trickle,
    Truncate,
)
from tests.support.faultproxy.proxy import FaultProxy, fault_proxy

__all__ = [
    "BlackHole",
    "Delay",
    "Fault",
    "FaultProxy",
    "Finish",
    "Garbage",
    "Reset",
    "StaleClose",
    "Trickle",
    "Truncate",
    "fault_proxy",
]
