"""The router at work on real sockets, to look at: model servers, a router, clients, two releases.

A good version is released and walks to 100 %; a bad one is released, caught, and rolled back.
What is shown comes from where an operator would look: the router's own `/metrics`, its audit trail
and its rollout; the client adds only what a client alone can know: what failed.

Glossary:
    scenario   what is played: versions, releases, kinds of requests, and their rate
    checks     what a version on trial is measured by
    act        one release and how it should end; a chapter is an act as it was played
    story      all chapters, and what in them was not as it should be
    stage      the processes of a scenario: the engines and the router with its workers
    traffic    the clients, and their tally
    reading    the router's counters at one moment
    rollout    how the release is doing, and the audit trail
    telling    audit entries in a few words, as they come
    view       what the terminal shows
    play       a scenario from the first process to the summary

Nothing is left behind: every process is ended by its id, and the folder is removed.
"""

from router.demo.errors import DemoError, StartError, StoryError
from router.demo.play import run
from router.demo.scenario import CANARY, Scenario

__all__ = ["CANARY", "DemoError", "Scenario", "StartError", "StoryError", "run"]
