"""HTTP/1.1 on the wire, strictly: bytes in, values out; no socket, no clock.

`request`   the head of a request, and the head that is forwarded for it
`response`  the head of a response, and the head that is relayed for it
`reader`    the heads of one connection
`chunked`   the chunked transfer coding
`events`    server-sent events: where they end, what they tell about a generation
`caller`    who called, by the word of trusted proxies
`rules`     how much is taken from a client
`grammar`   the character sets and field rules that all of them share

One reading only: what these parsers accept has a single meaning under RFC 9112, and what is
composed from it says that meaning again, so no message can be read differently behind the router.
"""
