"""Load of whole requests: wrk, one thread, a POST body from a file."""

import contextlib
import json
import math
import signal
import subprocess
import time
from pathlib import Path

from loadtests.bench import payloads
from loadtests.bench.process import BenchError, Target
from loadtests.bench.sample import Sample

_SCRIPT = """\
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {{"requests":%d,"us":%d,"p50":%.1f,"p99":%.1f,"errors":%d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class UnaryLoad:
    """Closed loop: each connection sends its next request when the answer is there."""

    def __init__(self, folder: Path, size: int, connections: int) -> None:
        self._folder = folder
        self._size = size
        self._connections = connections

    def run(self, target: Target, seconds: float) -> Sample:
        """Load a target for one slice."""
        command = self._command(target, seconds)
        meter = target.meter()
        meter.start()
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            time.sleep(seconds)  # the slice: wrk works meanwhile
            # Not by -d: it takes whole seconds only. wrk ends its sums on SIGINT as well.
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        usage = meter.stop()
        result = _result(output)
        return Sample(
            units=result["requests"],
            seconds=result["us"] / 1e6,
            errors=result["errors"],
            latency_us={"p50": result["p50"], "p99": result["p99"]},
            usage=usage,
        )

    def _command(self, target: Target, seconds: float) -> list[str]:
        body = self._folder / f"body-{target.model}-{self._size}.json"
        script = body.with_suffix(".lua")
        if not script.exists():
            body.write_bytes(payloads.request_body(target.model, self._size))
            script.write_text(_SCRIPT.format(body=body))
        limit = f"{math.ceil(seconds) + 5}s"
        connections = max(1, self._connections // target.ease)
        load = ["-t1", f"-c{connections}", f"-d{limit}", "--timeout", "10s"]
        return ["wrk", *load, "-s", str(script), target.address.url + payloads.PATH]


def _result(output: str) -> dict[str, float]:
    for line in output.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, float] = json.loads(line.removeprefix("RESULT "))
            return result
    raise BenchError(f"wrk gave no result:\n{output}")
