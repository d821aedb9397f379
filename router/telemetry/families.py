"""Every metric family: its name, type, labels, buckets and meaning, in one table.

Rules: label values come only from configuration; units follow Prometheus conventions; a family
is exported from the moment the thing that it measures exists, at zero.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """How workers' values are merged: counters and histograms add up, and so do gauges."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family; `buckets` are a histogram's upper bounds without +Inf."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


# vLLM's request-latency buckets, finer below 0.1 s.
DURATION_BUCKETS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50,
    60, 120, 240, 480, 960, 1920,
)  # fmt: skip
# vLLM's time-to-first-token buckets.
FIRST_TOKEN_BUCKETS: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40,
    80, 160, 640, 2560,
)  # fmt: skip
INTER_CHUNK_BUCKETS: Final = (
    0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2,
    0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 10, 20, 40, 80,
)  # fmt: skip
OVERHEAD_BUCKETS: Final = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
)  # fmt: skip
LOOP_DELAY_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)

_VERSION: Final = ("route", "version")
_ROLE: Final = ("route", "version", "role")

REQUESTS: Final = Family(
    "model_requests_total",
    Kind.COUNTER,
    (*_ROLE, "code"),
    "Requests that got an answer or an error, by HTTP status (499: the client went away).",
)
ERRORS: Final = Family(
    "model_errors_total",
    Kind.COUNTER,
    (*_ROLE, "reason"),
    "Failures of the version: never a 4xx, never a client that went away.",
)
DURATION: Final = Family(
    "model_request_duration_seconds",
    Kind.HISTOGRAM,
    _VERSION,
    "From the request accepted to the last byte of its answer.",
    DURATION_BUCKETS,
)
FIRST_BYTE: Final = Family(
    "model_time_to_first_byte_seconds",
    Kind.HISTOGRAM,
    _VERSION,
    "From the request accepted to the first byte of the answer's head.",
    FIRST_TOKEN_BUCKETS,
)
FIRST_TOKEN: Final = Family(
    "model_time_to_first_token_seconds",
    Kind.HISTOGRAM,
    _VERSION,
    "From the request accepted to the first streamed event with content.",
    FIRST_TOKEN_BUCKETS,
)
INTER_CHUNK: Final = Family(
    "model_inter_chunk_seconds",
    Kind.HISTOGRAM,
    _VERSION,
    "Gap between two chunks of a stream.",
    INTER_CHUNK_BUCKETS,
)
TOKENS: Final = Family(
    "model_tokens_total",
    Kind.COUNTER,
    (*_VERSION, "type"),
    "Tokens as the model server reported them: prompt, completion.",
)
FINISH_REASONS: Final = Family(
    "model_finish_reasons_total",
    Kind.COUNTER,
    (*_VERSION, "reason"),
    "Why generations ended: stop, length, tool_calls, content_filter, other.",
)
IN_FLIGHT: Final = Family(
    "model_requests_in_flight", Kind.GAUGE, _VERSION, "Requests being answered now."
)
WEIGHT: Final = Family("model_weight", Kind.GAUGE, _ROLE, "Share of the route in force, 0 to 1.")
OVERHEAD: Final = Family(
    "router_overhead_seconds",
    Kind.HISTOGRAM,
    ("stage",),
    "Time the router itself added: request = read to forwarded, response = read to relayed.",
    OVERHEAD_BUCKETS,
)
RETRIES: Final = Family(
    "router_retries_total", Kind.COUNTER, (*_VERSION, "reason"), "Attempts made again, by cause."
)
FALLBACKS: Final = Family(
    "router_fallbacks_total",
    Kind.COUNTER,
    (*_VERSION, "reason"),
    "Requests of a failed canary that were answered by stable.",
)
ENDPOINT_HEALTHY: Final = Family(
    "router_endpoint_healthy",
    Kind.GAUGE,
    (*_VERSION, "endpoint"),
    "Workers that hold this endpoint healthy, as a share of all (0 to 1); of a dns:// endpoint each"
    " counts with the share of the addresses that it holds healthy.",
)
ENDPOINT_EJECTIONS: Final = Family(
    "router_endpoint_ejections_total",
    Kind.COUNTER,
    (*_VERSION, "endpoint"),
    "Times that a worker left an endpoint alone for failing requests or refusing connections.",
)
ENDPOINT_IDLE: Final = Family(
    "router_endpoint_idle_seconds",
    Kind.GAUGE,
    (*_VERSION, "endpoint"),
    "How long an idle connection to this endpoint is kept, where it closes idle ones early itself.",
)
ENDPOINT_WARM: Final = Family(
    "router_endpoint_slow_start_end_timestamp_seconds",
    Kind.GAUGE,
    (*_VERSION, "endpoint"),
    "When the last slow start of this endpoint ends in its last worker, or ended (Unix time).",
)
VERSION_PANIC: Final = Family(
    "router_version_panic",
    Kind.GAUGE,
    _VERSION,
    "Workers that give requests to endpoints left alone, as too few are healthy (share, 0 to 1).",
)
BREAKER_OPEN: Final = Family(
    "router_breaker_open",
    Kind.GAUGE,
    _VERSION,
    "Workers that took this version out of the split by themselves, as a share of all (0 to 1).",
)
UNROUTED: Final = Family(
    "router_unrouted_requests_total",
    Kind.COUNTER,
    ("code",),
    "Requests refused before a version was chosen, by error code.",
)
REFUSALS: Final = Family(
    "router_http_refusals_total",
    Kind.COUNTER,
    ("status", "reason"),
    "Messages refused for their HTTP syntax, framing or size.",
)
QUEUED: Final = Family(
    "router_queued_requests", Kind.GAUGE, ("route",), "Requests waiting for a free place."
)
QUEUE_FULL: Final = Family(
    "router_queue_refusals_total",
    Kind.COUNTER,
    ("route", "reason"),
    "Requests refused by admission: full, deadline, displaced by a higher class.",
)
CIRCUIT_LIMIT: Final = Family(
    "router_circuit_limit",
    Kind.GAUGE,
    _VERSION,
    "Requests that a version may have at the same time by its own limits, all workers together.",
)
CIRCUIT_IN_FLIGHT: Final = Family(
    "router_circuit_in_flight",
    Kind.GAUGE,
    _VERSION,
    "Requests that have one of those places now.",
)
CIRCUIT_PENDING: Final = Family(
    "router_circuit_pending",
    Kind.GAUGE,
    _VERSION,
    "Requests that wait for one of those places.",
)
CIRCUIT_REFUSALS: Final = Family(
    "router_circuit_refusals_total",
    Kind.COUNTER,
    (*_VERSION, "reason"),
    "Requests refused by a version's own limits: full, deadline, displaced by a higher class.",
)
SHED: Final = Family(
    "router_shed_total",
    Kind.COUNTER,
    ("route", "class"),
    "Requests refused because the event loop cannot keep up, by class of priority.",
)
SHED_SHARE: Final = Family(
    "router_shed_share",
    Kind.GAUGE,
    ("worker",),
    "Share of new requests that the worker refuses now, 0 to 1; the lowest class first.",
)
CONNECTIONS: Final = Family(
    "router_client_connections", Kind.GAUGE, ("worker",), "Open client connections."
)
UPSTREAM_CONNECTIONS: Final = Family(
    "router_upstream_connections",
    Kind.GAUGE,
    ("worker", "state"),
    "Connections to model servers: idle, busy, connecting.",
)
LOOP_DELAY: Final = Family(
    "router_event_loop_delay_seconds",
    Kind.HISTOGRAM,
    ("worker",),
    "How late the worker's event loop ran a timer.",
    LOOP_DELAY_BUCKETS,
)
LOG_DROPPED: Final = Family(
    "router_access_log_dropped_total",
    Kind.COUNTER,
    ("worker",),
    "Access-log lines dropped because the writer could not keep up or could not write.",
)
GENERATION: Final = Family(
    "router_snapshot_generation", Kind.GAUGE, ("worker",), "Generation that the worker serves."
)
RELOADS: Final = Family(
    "router_config_reloads_total", Kind.COUNTER, ("result",), "Configuration loads: ok, refused."
)
WORKER_RESTARTS: Final = Family(
    "router_worker_restarts_total", Kind.COUNTER, (), "Workers that connected again as new ones."
)

EVENT_SUBSCRIBERS: Final = Family(
    "router_event_subscribers", Kind.GAUGE, (), "Readers of the admin API's event stream."
)
EVENT_SUBSCRIBERS_CUT: Final = Family(
    "router_event_subscribers_cut_total",
    Kind.COUNTER,
    (),
    "Readers of the event stream that were cut off because they did not keep up.",
)
STORE_FAILURES: Final = Family(
    "router_store_failures_total",
    Kind.COUNTER,
    (),
    "Commits whose fate the store could not tell; state is read again after each.",
)
LOGIN_FAILURES: Final = Family(
    "router_login_failures_total",
    Kind.COUNTER,
    ("result",),
    "Admin calls without a known token: refused, or not even looked at (limited).",
)

CHRONICLE_LEFT_OUT: Final = Family(
    "router_history_versions_left_out",
    Kind.GAUGE,
    (),
    "Versions that the console has no history of, because there are too many.",
)

NOTIFICATIONS: Final = Family(
    "router_notifications_total",
    Kind.COUNTER,
    ("receiver", "result"),
    "Notifications: delivered, failed after all attempts, dropped because the queue was full.",
)
ROLLOUT_PHASE: Final = Family(
    "router_rollout_phase",
    Kind.GAUGE,
    ("route", "phase"),
    "1 for the phase that a route's rollout is in: Healthy, Progressing, Paused, Degraded.",
)
ROLLOUT_STEP: Final = Family(
    "router_rollout_step",
    Kind.GAUGE,
    ("route",),
    "Step that a route's rollout is at, from 1; 0 while none is under way.",
)
ANALYSIS_MEASUREMENTS: Final = Family(
    "router_analysis_measurements_total",
    Kind.COUNTER,
    ("route", "metric", "phase"),
    "Measurements of analyses: Successful, Failed, Inconclusive, Error, NoData.",
)
ANALYSIS_RUNS: Final = Family(
    "router_analysis_runs", Kind.GAUGE, (), "Analysis runs without a verdict."
)

TLS_RELOADS: Final = Family(
    "router_tls_reloads_total",
    Kind.COUNTER,
    ("result",),
    "Changes of the files of server.tls that workers have seen: ok, or refused (the old stay).",
)
TLS_HANDSHAKES: Final = Family(
    "router_tls_handshakes_total",
    Kind.COUNTER,
    ("result",),
    "Handshakes on the traffic port: completed, or failed (a client's or our refusal).",
)
TLS_HANDSHAKES_IN_PROGRESS: Final = Family(
    "router_tls_handshakes_in_progress",
    Kind.GAUGE,
    ("worker",),
    "Handshakes on the traffic port that have begun and not ended.",
)
TLS_REFUSED: Final = Family(
    "router_tls_files_refused",
    Kind.GAUGE,
    ("worker",),
    "1 while the newest files of server.tls cannot be used, and those before them are in force.",
)
TLS_EXPIRY: Final = Family(
    "router_tls_certificate_expiry_timestamp_seconds",
    Kind.GAUGE,
    ("worker",),
    "When the certificate that new connections get ends (Unix time).",
)

SHADOW_SAMPLED: Final = Family(
    "router_shadow_sampled_total",
    Kind.COUNTER,
    _VERSION,
    "Requests chosen to be copied; each ends in one outcome of model_shadow_requests_total.",
)
SHADOW_REQUESTS: Final = Family(
    "model_shadow_requests_total",
    Kind.COUNTER,
    (*_VERSION, "outcome"),
    "Copied requests by their end: answered, error, timeout, or dropped_ and why.",
)
SHADOW_IN_FLIGHT: Final = Family(
    "router_shadow_in_flight", Kind.GAUGE, _VERSION, "Copied requests being answered now."
)
SHADOW_QUEUED: Final = Family(
    "router_shadow_queued", Kind.GAUGE, ("route",), "Copied requests that wait for a place."
)
SHADOW_PAIRS_DROPPED: Final = Family(
    "router_shadow_pairs_dropped_total",
    Kind.COUNTER,
    ("route", "reason"),
    "Pairs of answers that were not compared: rate, size, link, queue, late.",
)
SHADOW_COMPARISONS: Final = Family(
    "model_shadow_comparisons_total",
    Kind.COUNTER,
    (*_VERSION, "verdict"),
    "Compared pairs: match, within_noise, mismatch, error; the stable version's are its twins.",
)
SHADOW_LATENCY: Final = Family(
    "model_shadow_latency_difference_seconds",
    Kind.HISTOGRAM,
    _VERSION,
    "Duration of the shadow's answer minus that of the stable version's.",
    (-30, -10, -5, -2, -1, -0.5, -0.2, -0.1, -0.05, -0.02, -0.01, 0,
     0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)  # fmt: skip
SHADOW_RECORDED: Final = Family(
    "router_shadow_recorded_total",
    Kind.COUNTER,
    ("route", "result"),
    "Pairs to be recorded: written, pruned by retention, lost because the store did not answer.",
)

ALL: Final = (
    REQUESTS, ERRORS, DURATION, FIRST_BYTE, FIRST_TOKEN, INTER_CHUNK, TOKENS, FINISH_REASONS,
    IN_FLIGHT, WEIGHT, OVERHEAD, RETRIES, FALLBACKS, ENDPOINT_HEALTHY, UNROUTED, REFUSALS, QUEUED,
    QUEUE_FULL, CONNECTIONS, UPSTREAM_CONNECTIONS, LOOP_DELAY, LOG_DROPPED, GENERATION, RELOADS,
    WORKER_RESTARTS, EVENT_SUBSCRIBERS, EVENT_SUBSCRIBERS_CUT, STORE_FAILURES, LOGIN_FAILURES,
    BREAKER_OPEN, NOTIFICATIONS, ROLLOUT_PHASE, ANALYSIS_RUNS, SHADOW_SAMPLED, SHADOW_REQUESTS,
    SHADOW_IN_FLIGHT, SHADOW_QUEUED, SHADOW_PAIRS_DROPPED, SHADOW_COMPARISONS, SHADOW_LATENCY,
    SHADOW_RECORDED, ENDPOINT_EJECTIONS, ENDPOINT_IDLE, ENDPOINT_WARM, VERSION_PANIC, ROLLOUT_STEP,
    ANALYSIS_MEASUREMENTS, CHRONICLE_LEFT_OUT,
    CIRCUIT_LIMIT, CIRCUIT_IN_FLIGHT, CIRCUIT_PENDING, CIRCUIT_REFUSALS, SHED, SHED_SHARE,
    TLS_RELOADS, TLS_HANDSHAKES, TLS_HANDSHAKES_IN_PROGRESS, TLS_EXPIRY, TLS_REFUSED,
)  # fmt: skip
BY_NAME: Final = {family.name: family for family in ALL}
