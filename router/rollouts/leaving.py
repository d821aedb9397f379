"""Which versions have lost their traffic, and when: what still runs on them may be bounded.

Whoever moves the weights (a rollout, a switch, a person, an override that expires), it is read
off the states before and after.

Pure.
"""

from msgspec.structs import replace

from router.rollouts.state import MAX_LEFT, RouteState


def note_left(before: RouteState, after: RouteState, now: float) -> RouteState:
    """Remember of each version that loses its traffic when; forget it of those that have some.

    Of more than `MAX_LEFT` the ones that were left first are forgotten.
    """
    lost = {name: now for name, share in before.shares.items() if share and not after.share(name)}
    without = {name: at for name, at in before.left.items() if not after.share(name)}
    newest = sorted({**without, **lost}.items(), key=lambda item: item[1])[-MAX_LEFT:]
    left = dict(newest)
    return after if left == after.left else replace(after, left=left)
