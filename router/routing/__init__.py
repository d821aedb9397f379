"""Decisions about one request: pure, synchronous, on frozen values.

`match`    which route
`body`     what the body says that routing needs: the model, a sticky field
`sticky`   which key keeps a conversation on one version
`split`    which version
`balance`  which endpoint

No clock, no randomness, no I/O: time and chance come in as arguments.
"""
