"""Whether a request may be sent again after a model server may already have seen it.

RFC 9110 §9.2.2 lets a proxy repeat idempotent methods only.  A generation is a POST, but asking
for it twice changes nothing: the well-known inference calls may be repeated too, and so may
whatever carries an Idempotency-Key.  Calls that create something (responses that are stored,
files, batches, conversations) and unknown ones may not, unless the route's configuration lists
their method.
"""

import re
from typing import Final

_IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))
_INFERENCE: Final = re.compile(
    rb"(?:/v1)?/(?:chat/completions|completions|embeddings|rerank|score|classify|pooling|messages"
    rb"|moderations|audio/transcriptions|audio/translations|audio/speech|tokenize|detokenize)"
    rb"|/generate(?:_stream)?|/invocations"
    rb"|/v1/models/[^/:]+:(?:predict|explain)"
    rb"|/v2/models/[^/]+(?:/versions/[^/]+)?/(?:infer|generate|generate_stream)"
)


def may_repeat(
    methods: tuple[str, ...] | None, method: bytes, path: bytes, *, has_key: bool
) -> bool:
    """Decide for one request; `methods` is the route's own list, None where it has none."""
    if methods is not None:
        return method.decode() in methods
    if method in _IDEMPOTENT or has_key:
        return True
    return method == b"POST" and _INFERENCE.fullmatch(path) is not None
