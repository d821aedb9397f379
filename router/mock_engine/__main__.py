"""`python -m router.mock_engine`."""

import sys

from router.mock_engine.arguments import main

sys.exit(main(program="python -m router.mock_engine"))
