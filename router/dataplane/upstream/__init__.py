"""Connections to model servers: one HTTP/1.1 connection, their pool, the endpoint, its health."""
