"""Are these manifests what a cluster takes?  Kubernetes' own schemas, and ours for its extensions.

Extensions (the Prometheus operator's, Argo CD's) are in no package: what stands here is the part of
their public definitions that our manifests use, closed, so that a misspelt field is found.
"""

from __future__ import annotations

from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]  # has no types
import kubernetes_validate  # type: ignore[import-untyped]  # has no types

KUBERNETES: Final = "1.37"

_TEXT: Final = {"type": "string", "minLength": 1}
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_DURATION: Final = {"type": "string", "pattern": r"^([0-9]+(ms|s|m|h|d))+$"}


def _closed(required: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": required.split(),
        "additionalProperties": False,
    }


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


_METADATA: Final = _closed(
    "name", name=_TEXT, namespace=_TEXT, labels=_TEXTS, annotations=_TEXTS, finalizers=_list(_TEXT)
)


def _extension(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return _closed(
        "apiVersion kind metadata spec",
        apiVersion={"const": version},
        kind={"const": kind},
        metadata=_METADATA,
        spec=spec,
    )


_SERVICE_MONITOR: Final = _extension(
    "monitoring.coreos.com/v1",
    "ServiceMonitor",
    _closed(
        "selector endpoints",
        selector=_closed("matchLabels", matchLabels=_TEXTS),
        namespaceSelector=_closed("matchNames", matchNames=_list(_TEXT)),
        endpoints=_list(
            _closed("port", port=_TEXT, path=_TEXT, interval=_DURATION, scrapeTimeout=_DURATION)
        ),
    ),
)
_ALERT: Final = {
    **_closed("alert expr", alert=_TEXT, expr=_TEXT, labels=_TEXTS, annotations=_TEXTS),
}
_ALERT["properties"]["for"] = _DURATION
_PROMETHEUS_RULE: Final = _extension(
    "monitoring.coreos.com/v1",
    "PrometheusRule",
    _closed("groups", groups=_list(_closed("name rules", name=_TEXT, rules=_list(_ALERT)))),
)
_APPLICATION: Final = _extension(
    "argoproj.io/v1alpha1",
    "Application",
    _closed(
        "project source destination",
        project=_TEXT,
        source=_closed(
            "repoURL path targetRevision",
            repoURL=_TEXT,
            path=_TEXT,
            targetRevision=_TEXT,
            helm=_closed("releaseName valueFiles", releaseName=_TEXT, valueFiles=_list(_TEXT)),
        ),
        destination=_closed("server namespace", server=_TEXT, namespace=_TEXT),
        syncPolicy=_closed(
            "automated",
            automated=_closed("", prune={"type": "boolean"}, selfHeal={"type": "boolean"}),
            syncOptions=_list({"type": "string", "pattern": "^[A-Za-z]+=(true|false)$"}),
        ),
    ),
)
_EXTENSIONS: Final = {
    "ServiceMonitor": _SERVICE_MONITOR,
    "PrometheusRule": _PROMETHEUS_RULE,
    "Application": _APPLICATION,
}


def validate(manifest: dict[str, Any]) -> None:
    """Raise if a cluster would not take it."""
    schema = _EXTENSIONS.get(manifest["kind"])
    if schema is None:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    else:
        jsonschema.validate(manifest, schema)
