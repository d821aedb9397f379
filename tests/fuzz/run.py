"""Search for inputs that break a target, guided by coverage: `make fuzz FUZZ="target seconds"`.

Without arguments every target has its turn, a minute each.  What reaches new code is kept in
build/fuzz/TARGET and is the start of the next search; an input that breaks a promise is written
there as crash-… and belongs into tests/fuzz/corpus/TARGET once the fault is mended.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

SECONDS: Final = 60
HANGS_AFTER_S: Final = 20
MAX_BYTES: Final = 16 * 1024
MAX_MEMORY_MIB: Final = 2_048
CORPUS: Final = Path(__file__).parent / "corpus"
API: Final = "admin_api"
"""Not guided by coverage: schemathesis makes calls of a running router's API."""
API_EXAMPLES: Final = "20"
FOUND: Final = Path(__file__).parents[2] / "build" / "fuzz"


def main(arguments: list[str]) -> int:
    """Search in one target, or in each of them in a process of its own."""
    targets = sorted([*(each.name for each in CORPUS.iterdir()), API])
    match arguments:
        case []:
            return max(run_apart(target, SECONDS) for target in targets)
        case [target] if target in targets:
            return run_apart(target, SECONDS)
        case [target, seconds] if target in targets and seconds.isdigit():
            return run_apart(target, int(seconds))
        case ["--here", target, *options]:
            return search(target, options)
    print(f"usage: python -m tests.fuzz.run [TARGET [SECONDS]], TARGET one of {' '.join(targets)}")
    return 2


def run_apart(target: str, seconds: int) -> int:
    """libFuzzer ends the process that it runs in."""
    print(f"== {target}, {seconds} s", flush=True)
    if target == API:
        return run_api(seconds)
    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_BYTES}",
        f"-timeout={HANGS_AFTER_S}",
        f"-rss_limit_mb={MAX_MEMORY_MIB}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
        str(found),  # the first folder takes what is new
        str(CORPUS / target),
    ]
    command = [sys.executable, "-m", "tests.fuzz.run", "--here", target, *options]
    return 1 if subprocess.run(command, check=False).returncode else 0


def run_api(seconds: int) -> int:
    """Rounds of new calls of the admin API, until one is answered wrongly or time is up."""
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:xdist", "tests/fuzz/api_calls.py"]
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        seed = int.from_bytes(os.urandom(4))
        print(f"== {API}: --hypothesis-seed={seed}", flush=True)
        ran = subprocess.run(
            [*command, f"--hypothesis-seed={seed}"],
            env={**os.environ, "API_EXAMPLES": API_EXAMPLES},
            check=False,
        )
        if ran.returncode:
            return 1
    return 0


def search(target: str, options: list[str]) -> int:
    """Run the target until it breaks or time is up; does not come back."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["router"]):
        targets = importlib.import_module("tests.fuzz.targets")
    atheris.Setup([sys.argv[0], *options], targets.TARGETS[target])
    atheris.Fuzz()
    raise AssertionError("unreachable: the search ends the process")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
