"""LiteLLM's proxy, from PyPI."""

import json
from pathlib import Path
from typing import Any, Final

from loadtests.bench.peers.peer import REMEDY, executable, package_version
from loadtests.bench.proxies import Address, Launch, free_address

_MODEL: Final = "bench-0"
_EASE: Final = 8  # it answers some 60 requests/s where nginx answers some 40 000

# Lighter than what one would run: no keys to check, no database, no telemetry, and its
# price list from the package instead of the network.
_ENVIRONMENT: Final = {
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "true",
    "LITELLM_LOG": "ERROR",
    "LITELLM_TELEMETRY": "false",
}


class LiteLlm:
    """One worker, two deployments of one model that share 95 / 5."""

    name = "litellm"

    def prepare(self, folder: Path, upstream: list[Address]) -> Launch:
        """Write litellm.yaml (as JSON, which is YAML)."""
        address = free_address()
        config = folder / "litellm.yaml"
        models = [_deployment(upstream[0], share) for share in (95, 5)]
        config.write_text(json.dumps({"model_list": models}, indent=1))
        command = [executable("litellm"), "--config", str(config), "--num_workers", "1"]
        command += ["--host", address.host, "--port", str(address.port), "--telemetry", "False"]
        return Launch(
            command,
            address,
            f"{address.url}/health/liveliness",
            model=_MODEL,
            environment=_ENVIRONMENT,
            remedy=REMEDY,
            rewriting=True,
            ease=_EASE,
        )

    def version(self) -> str:
        """See `Peer`."""
        return package_version("litellm")


def _deployment(server: Address, share: int) -> dict[str, Any]:
    parameters = {
        "model": f"openai/{_MODEL}",
        "api_base": f"{server.url}/v1",
        "api_key": "none",
        "weight": share,
    }
    return {"model_name": _MODEL, "litellm_params": parameters}
