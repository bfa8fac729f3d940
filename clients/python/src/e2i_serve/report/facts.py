"""What the database knows of a service. Only queries here; each answer may be a refusal, because a role sees what it may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg

from ..database import Database
from ..errors import E2iError

if TYPE_CHECKING:
    from typing_extensions import LiteralString

Rows = list[dict[str, Any]]

#: Points that a line over time has at most: more than a screen shows are not sent to it.
POINTS = 240
#: Bars of a histogram.
BARS = 40


@dataclass(frozen=True)
class Unknown:
    """An answer that the server did not give, and why."""

    reason: str


class Facts:
    """Asks each question once, when it is first needed."""

    def __init__(self, database: Database, service: str, since: timedelta) -> None:
        self.database, self.service = database, service
        self.until: datetime = database.value("SELECT now()")
        self.since = self.until - since
        deployed = database.value("SELECT 1 FROM {e2i}.ml_bentoml_services WHERE service_name = %s LIMIT 1", (service,))
        if not deployed and not database.value("SELECT 1 FROM {e2i}.ml_model_registry WHERE model_name = %s LIMIT 1", (service,)):
            raise E2iError(f'there is neither a service nor a model "{service}": e2i-serve list')

    def _ask(self, query: LiteralString, parameters: Any = None) -> Rows | Unknown:
        try:
            # Of a caller's transaction a refusal must not be the end.
            with self.database.connection.transaction():
                return self.database.rows(query, parameters)
        except psycopg.Error as problem:
            return Unknown(problem.diag.message_primary or str(problem))

    @property
    def step(self) -> timedelta:
        """The time that one point stands for; a round number of seconds."""
        seconds = (self.until - self.since).total_seconds() / POINTS
        return timedelta(seconds=next((s for s in (30, 60, 300, 900, 1800, 3600, 10800, 21600, 86400) if s >= seconds), 604800))

    @cached_property
    def current(self) -> Rows | Unknown:
        """What is deployed: version, stage, traffic, shadow, health, since, task, engine."""
        return self._ask(
            "SELECT s.bento_tag AS version, r.stage, s.traffic, x.model_name || ':' || x.model_version AS shadow, s.shadow_sample, "
            "s.health_status AS health, s.updated_at AS since, r.task, r.engine, r.algorithm, r.trained_at, r.metrics "
            "FROM {e2i}.ml_bentoml_services s LEFT JOIN {e2i}.ml_model_registry r ON r.id = s.model_id "
            "LEFT JOIN {e2i}.ml_model_registry x ON x.id = s.shadow_id WHERE s.service_name = %s AND s.status = 'active'",
            (self.service,),
        )

    @cached_property
    def versions(self) -> Rows | Unknown:
        """Versions of the models that the service has had, the newest first."""
        return self._ask(
            "SELECT m.model || ':' || m.version AS version, m.aliases, m.stage, m.deployed_as AS \"deployed as\", m.task, m.engine, m.size, "
            "to_char(r.trained_at, 'YYYY-MM-DD HH24:MI') AS trained, to_char(r.registered_at, 'YYYY-MM-DD HH24:MI') AS registered, r.metrics "
            "FROM {e2i}.e2i_models m JOIN {e2i}.ml_model_registry r ON (r.model_name, r.model_version) = (m.model, m.version) "
            "WHERE m.model = %s OR r.id IN (SELECT model_id FROM {e2i}.ml_bentoml_services WHERE service_name = %s) "
            "ORDER BY r.registered_at DESC LIMIT 20",
            (self.service, self.service),
        )

    @cached_property
    def health(self) -> Rows | Unknown:
        """The health now."""
        return self._ask("SELECT * FROM {e2i}.e2i_health(%s)", (self.service,))

    @cached_property
    def limits(self) -> dict[str, dict[str, float]]:
        """From when on a service is degraded or unhealthy, by metric; none where the role may not read it."""
        rows = self._ask("SELECT metric, degraded, unhealthy FROM {e2i}.ml_health_limits")
        return {} if isinstance(rows, Unknown) else {row["metric"]: row for row in rows}

    @cached_property
    def served(self) -> Rows | Unknown:
        """What each version served, a row a step of time: sums; of times the mean, weighted by calls, and the largest."""
        return self._ask(
            "SELECT date_bin(%(step)s, m.\"timestamp\", %(since)s) AS at, coalesce(s.bento_tag, '?') AS version, "
            "sum(m.requests)::float8 AS requests, sum(m.predictions)::float8 AS predictions, sum(m.errors)::float8 AS errors, "
            "sum(m.error_rate * m.requests) / nullif(sum(m.requests) FILTER (WHERE m.error_rate IS NOT NULL), 0) AS error_rate, "
            "sum(m.p50_latency_ms * m.requests) / nullif(sum(m.requests) FILTER (WHERE m.p50_latency_ms IS NOT NULL), 0) AS p50, "
            "max(m.p95_latency_ms) AS p95, max(m.p99_latency_ms) AS p99 "
            "FROM {e2i}.ml_bentoml_serving_metrics m JOIN {e2i}.ml_bentoml_services s ON s.id = m.service_id "
            "WHERE s.service_name = %(service)s AND m.\"timestamp\" BETWEEN %(since)s AND %(until)s GROUP BY 1, 2 ORDER BY 1, 2",
            {"step": self.step, "since": self.since, "until": self.until, "service": self.service},
        )

    @cached_property
    def counters(self) -> Rows | Unknown:
        """What was counted since the counters were set back, by version and function."""
        return self._ask(
            "SELECT coalesce(model || ':' || version, 'no model found') AS version, function, engine, requests, predictions, errors, "
            "avg_ms, p50_ms, p95_ms, p99_ms, max_ms, errors_by_kind, since "
            "FROM {e2i}.e2i_serving_counters(by_function => true) WHERE service = %s AND function <> 'load' ORDER BY 1, 2",
            (self.service,),
        )

    @cached_property
    def events(self) -> Rows | Unknown:
        """What happened to the service and its versions, the newest first."""
        return self._ask(
            "SELECT happened_at AS at, action, coalesce(model_name || ':' || model_version, model_name, '') AS version, before, after, who, reason "
            "FROM {e2i}.ml_model_events WHERE service_name = %s OR service_name IS NULL AND model_name = %s "
            "ORDER BY happened_at DESC LIMIT 200",
            (self.service, self.service),
        )

    @cached_property
    def calibrations(self) -> Rows | Unknown:
        """Calibrations of the service's versions, a row a group."""
        return self._ask(
            "SELECT r.model_name || ':' || r.model_version AS version, r.class_labels, c.purpose, c.method, c.grouped_by, c.\"group\", c.n, "
            "c.maps, c.space, c.source, c.target, c.made_at, c.checked_level, c.checked_n, c.checked_covered, c.checked_at "
            "FROM {e2i}.ml_calibrations c JOIN {e2i}.ml_model_registry r ON r.id = c.model_id "
            "WHERE r.model_name = %s OR r.id IN (SELECT model_id FROM {e2i}.ml_bentoml_services WHERE service_name = %s) "
            "ORDER BY r.registered_at DESC, c.purpose, c.number",
            (self.service, self.service),
        )

    @cached_property
    def answers(self) -> Rows | Unknown:
        """How the logged answers of each version spread: so many in each of `BARS` equal parts of their range."""
        return self._ask(
            "WITH logged AS (SELECT model_name || ':' || model_version AS version, served_as, prediction AS value FROM {e2i}.ml_inference_log "
            "WHERE service_name = %(service)s AND logged_at BETWEEN %(since)s AND %(until)s AND status = 'ok' "
            "AND prediction > '-Infinity' AND prediction < 'Infinity'), "
            "span AS (SELECT min(value) AS low, max(value) AS high FROM logged), "
            "placed AS (SELECT version, served_as, low, high, "
            "CASE WHEN high > low THEN least(floor((value - low) / (high - low) * %(bars)s), %(bars)s - 1)::int ELSE 0 END AS bar FROM logged, span) "
            "SELECT version, served_as, bar, low, high, count(*) AS rows FROM placed GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3",
            {"service": self.service, "since": self.since, "until": self.until, "bars": BARS},
        )

    @cached_property
    def logged(self) -> Rows | Unknown:
        """Rows of the log by version and how they were served: rows, errors, times, answers."""
        return self._ask(
            "SELECT model_name || ':' || model_version AS version, served_as AS \"served as\", count(*) AS rows, "
            "count(*) FILTER (WHERE status = 'error') AS errors, percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) AS \"p50 ms\", "
            "percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS \"p95 ms\", avg(prediction) AS \"mean answer\", "
            "stddev_samp(prediction) AS \"standard deviation\" FROM {e2i}.ml_inference_log WHERE service_name = %s AND logged_at BETWEEN %s AND %s "
            "GROUP BY model_name, model_version, served_as ORDER BY 2, 1",
            (self.service, self.since, self.until),
        )

    @cached_property
    def shadow(self) -> Rows | Unknown:
        """How far a shadow is from what callers got."""
        return self._ask("SELECT * FROM {e2i}.e2i_shadow_report(%s, %s)", (self.service, self.until - self.since))

    @cached_property
    def answers_over_time(self) -> Rows | Unknown:
        """Of what callers got, the quarters of the answers, a row a step of time."""
        return self._ask(
            "SELECT date_bin(%(step)s, logged_at, %(since)s) AS at, count(*) AS rows, "
            "percentile_cont(ARRAY[0.05, 0.25, 0.5, 0.75, 0.95]) WITHIN GROUP (ORDER BY prediction) AS quantiles FROM {e2i}.ml_inference_log "
            "WHERE service_name = %(service)s AND logged_at BETWEEN %(since)s AND %(until)s AND served_as <> 'shadow' AND status = 'ok' "
            "AND prediction > '-Infinity' AND prediction < 'Infinity' GROUP BY 1 ORDER BY 1",
            {"step": self.step, "service": self.service, "since": self.since, "until": self.until},
        )

    @cached_property
    def importances(self) -> Rows | Unknown:
        """Analyses of whole relations that were kept, the oldest first: how much each feature mattered."""
        return self._ask(
            "SELECT model_name || ':' || model_version AS version, created_at AS at, class, global_importance AS importance, sample_size AS rows, source "
            "FROM {e2i}.ml_shap_analyses WHERE analysis_type = 'global' AND (model_name = %s OR model_id IN "
            "(SELECT model_id FROM {e2i}.ml_bentoml_services WHERE service_name = %s)) ORDER BY created_at DESC LIMIT 50",
            (self.service, self.service),
        )

    @cached_property
    def moved(self) -> Rows | Unknown:
        """How far importance moved from one kept analysis to the next, the newest first."""
        return self._ask(
            "SELECT created_at AS at, model_name || ':' || model_version AS version, model_name || ':' || before_version AS \"against\", segment, class, "
            "rank_correlation AS \"rank correlation\", largest_change AS \"largest change\", feature, before_share AS \"share before\", share "
            "FROM {e2i}.e2i_importance_drift WHERE model_name = %s OR model_name IN (SELECT r.model_name FROM {e2i}.ml_bentoml_services s "
            "JOIN {e2i}.ml_model_registry r ON r.id = s.model_id WHERE s.service_name = %s) ORDER BY created_at DESC LIMIT 20",
            (self.service, self.service),
        )
