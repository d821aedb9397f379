"""`python -m router` is `inference-router`."""

from router.cli import main

main()
