"""Every metric of the operator, declared once. Labels are bounded: no names of objects, pods or revisions."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter(
    "plimsoll_reconciles_total",
    "Turns of the reconcile loop: changed, unchanged, behind, refused, conflict, outage, gone, unreadable or bug.",
    ["outcome"],
)
RECONCILE_SECONDS = Histogram(
    "plimsoll_reconcile_seconds",
    "Duration of one turn of the reconcile loop, requests included.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
FLEET_RECONCILES = Counter(
    "plimsoll_fleet_reconciles_total",
    "Turns of the loop that keeps gateways: changed, unchanged, behind, refused, conflict, outage, gone or bug.",
    ["outcome"],
)
FLEET_RECONCILE_SECONDS = Histogram(
    "plimsoll_fleet_reconcile_seconds",
    "Duration of one turn of the loop that keeps gateways, requests included.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WRITES = Counter("plimsoll_writes_total", "Requests that changed something, by kind and verb.", ["kind", "verb"])
REPORTS = Counter(
    "plimsoll_preflight_reports_total",
    "Fetches of a preflight's report from its pod: kept or unavailable.",
    ["outcome"],
)
GATEWAY_STREAMS = Gauge("plimsoll_gateway_streams", "Gateways whose records are being read now.")
RECORD_CUTS = Counter(
    "plimsoll_record_cuts_total",
    "Lines of records from gateways: pooled, known (used before, or overtaken) or refused.",
    ["outcome"],
)
QUEUE_DEPTH = Gauge("plimsoll_queue_depth", "ModelDeployments that wait for their turn.")
LEADING = Gauge("plimsoll_leading", "1 while this process leads, 0 on a standby.")
CACHE_AGE_SECONDS = Gauge(
    "plimsoll_cache_age_seconds", "Seconds since the API server last spoke on the watch of a kind.", ["kind"]
)
CACHE_RELISTS = Gauge("plimsoll_cache_relists", "Complete lists of a kind since start.", ["kind"])
EVENTS_DROPPED = Gauge("plimsoll_events_dropped", "Kubernetes Events given up because of a bound or an error.")
LOOP_LAG_SECONDS = Gauge("plimsoll_loop_lag_seconds", "How late the event loop last ran a timer.")
GATEWAY_BUILD = Gauge(
    "plimsoll_gateway_build_info", "1, with the version that runs, and how its hot path does.", ["version", "hot_path"]
)
GATEWAY_MODELS = Gauge("plimsoll_gateway_models", "ModelDeployments whose routes a gateway follows.")
GATEWAY_STATUSES_IGNORED = Gauge(
    "plimsoll_gateway_statuses_ignored",
    "ModelDeployments whose status cannot be followed, so that their last routes are followed on.",
)
GATEWAY_TRUSTED = Gauge(
    "plimsoll_gateway_trusted", "1 once a live controller has shaken hands, so that candidates get their weights."
)
