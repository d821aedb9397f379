"""The table of transitions as a picture: a Mermaid state diagram.

`docs/rollouts.md` holds exactly this; `python -m router.rollouts.diagram` prints it.
"""

import sys
from collections.abc import Iterator

from router.rollouts.phases import TRANSITIONS, Happening, Phase


def diagram() -> str:
    """Draw `TRANSITIONS`, one arrow for each pair of phases."""
    return "\n".join(["stateDiagram-v2", f"    [*] --> {Phase.HEALTHY}", *_arrows()])


def _arrows() -> Iterator[str]:
    for phase, moves in TRANSITIONS.items():
        for target in Phase:
            words = [word for word in Happening if moves.get(word) is target]
            if words:
                yield f"    {phase} --> {target}: {' / '.join(words)}"


if __name__ == "__main__":
    sys.stdout.write(diagram() + "\n")
