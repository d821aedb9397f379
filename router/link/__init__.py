"""The link between the planes: typed messages over a Unix socket, and both ends of it."""
