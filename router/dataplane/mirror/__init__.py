"""Copies of requests, sent to a version whose answers no client sees.

mirror    one route's shadow in this worker: what is sampled, how much of it at a time
copy      one copied request, from its sampling to the pair that is handed to control
leg       one request of a copy: to the shadow, or to the stable version once more (the twin)
tap       hears what the client is answered
pair      what control compares: the client's answer beside the others

The primary's way never waits for any of this, and nothing here can fail it: a copy is taken after
the primary's request is on its way, has connections of its own, and is dropped and counted when
there is no room.
"""

from router.dataplane.mirror.mirror import Mirror as Mirror
from router.dataplane.mirror.mirror import Mirrors as Mirrors
