"""How fast and how dear the control plane is: `make bench-control`, or `--only CELL`.

Real processes on loopback.  Numbers depend on the machine and are printed, never asserted.
"""
