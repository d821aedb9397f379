"""The router at work on real sockets, to look at: model servers, a router, clients, one table.

What is shown comes from where an operator would look, the router's own `/metrics`; the client
adds only what a client alone can know: what failed, and whether its conversations moved.

Glossary:
    scenario   what is played: versions, weights, kinds of requests, and their rate
    stage      the processes of a scenario: two engines and the router with its workers
    traffic    the clients, and their tally
    reading    the router's counters at one moment
    view       what the terminal shows
    play       a scenario from the first process to the summary

Nothing is left behind: every process is ended by its id, and the folder is removed.
"""

from router.demo.play import run
from router.demo.scenario import CANARY, Scenario
from router.demo.stage import StartError

__all__ = ["CANARY", "Scenario", "StartError", "run"]
