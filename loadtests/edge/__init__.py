"""The router's edge, measured on real processes: `make bench-edge`, or `BENCH="--only CELL"`.

Slow clients, clients that go, overload, many connections, restarts under load.  Every figure has a
bar and is met or not; the table says so, and nothing is asserted: a machine is shared and noisy.
"""
