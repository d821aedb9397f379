"""A progressive-delivery proxy for model servers.

Words used everywhere in this package:

route       a public entry that clients call: match rules, a traffic policy, a strategy
version     one deployable model version behind a route: endpoints, upstream model name
endpoint    base URL of one model server
weight      a version's share of a route's traffic, in basis points; a route's sum to 10 000
role        what a version is in its route now: stable, canary, preview, shadow
snapshot    the immutable routing table that the data plane serves
generation  the snapshot's number; it only ever grows
exchange    one client request and its answer, with every upstream attempt made for it
door        how requests come in: `native` (our protocol class) or `asgi` (any ASGI server)
data plane  the workers: accept, decide, forward, relay, record
control     the process that owns configuration, state, metrics and the admin port
link        the messages between the two planes
"""

__version__ = "0.1.0"
