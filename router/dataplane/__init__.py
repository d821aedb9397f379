"""The data plane: what one worker does with a request.

`server`     the worker: state, deadlines, uvicorn, drain
`frontends`  the two doors: native (a protocol class) and asgi
`exchange`   the whole way of one request, both directions
`client`     what an exchange needs of a door
`decide`     where it goes
`relay`      answers that come in several reads, streams above all
`record`     what it leaves behind; `accesslog` writes it down
`replies`    answers of the router's own
`admission`  how many may be in at once, and who waits; `waiting` is one request's part of it
`table`      the snapshot brought to life
`draining`   versions that have lost their traffic, and what still runs on them
`upstream`   connections to model servers, endpoints, probes

It imports nothing of the control plane, never blocks and never waits for it.
"""
