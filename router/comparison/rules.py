"""When two answers count as the same."""

import msgspec


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """A route's rules, from its configuration (`shadow.compare`).

    `text_ratio`: how alike two texts must be, 0 to 1; 1 is the same text after normalising white
    space.  `numeric_tolerance`: how far two numbers may differ, relative to the primary's.
    `cosine`: how alike two embeddings must be.  `ignore_paths`: JSON paths like `$.id` or
    `$.choices[*].logprobs` that may differ; what every server makes anew (ids, creation times,
    fingerprints, usage) is ignored besides.
    """

    text_ratio: float = 1.0
    numeric_tolerance: float = 0.0
    cosine: float = 0.999
    ignore_paths: tuple[str, ...] = ()
