"""What is to be seen, and how it is said in words. Each part has something to show, or says that there is nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from . import figures
from .facts import BARS, Facts, Rows, Unknown

NOTHING = "Nothing recorded yet."


@dataclass(frozen=True)
class Drawing:
    """A figure, and what to see in it."""

    about: str
    figure: figures.Figure


@dataclass(frozen=True)
class Table:
    """Rows with the same keys."""

    about: str
    rows: Rows


@dataclass
class Part:
    """A section of the page."""

    name: str
    title: str
    blocks: list[str | Drawing | Table] = field(default_factory=list)

    def tell(self, *blocks: str | Drawing | Table) -> Part:
        """Adds sentences, figures, tables."""
        self.blocks += blocks
        return self


def parts(facts: Facts) -> list[Part]:
    """The sections, in the order in which a person on call asks."""
    return [health(facts), traffic(facts), latency(facts), canary(facts), calibration(facts), drift(facts), versions(facts), events(facts)]


def _versions_of(facts: Facts) -> dict[str, str]:
    """Every version's colour."""
    names: list[str] = []
    for rows in (facts.versions, facts.served, facts.answers):
        if not isinstance(rows, Unknown):
            names += [row["version"] for row in reversed(rows) if row["version"] not in names]
    return figures.colours_of(names)


def _some(part: Part, rows: Rows | Unknown, how: str) -> Rows:
    """The rows, or a sentence in the part that says why there are none."""
    if isinstance(rows, Unknown):
        part.tell(f"Not to be seen by this role: {rows.reason}.")
        return []
    if not rows:
        part.tell(f"{NOTHING} {how}")
    return rows


def health(facts: Facts) -> Part:
    """The judgement now, the share of calls that failed, and when it was another."""
    part = Part("health", "Health")
    for row in _some(part, facts.health, "A service that is deployed is judged by its calls."):
        part.tell(f"{row['version'] or facts.service} is {row['status']}" + (f": {row['reason']}." if row["reason"] else "."))
    limits = facts.limits.get("error_rate")
    rates = [] if isinstance(facts.served, Unknown) else [r for r in facts.served if r["error_rate"] is not None]
    if rates:
        limit = {name: limits[name] for name in ("degraded", "unhealthy") if limits[name] < math.inf} if limits else {}
        said = f" Degraded from {limits['degraded']:.0%} on, unhealthy above {limits['unhealthy']:.0%}." if limits and len(limit) == 2 else ""
        drawn = figures.lines_over_time(_by_version(rates, "error_rate"), "calls that failed", limit, percent=True, colours=_versions_of(facts))
        part.tell(Drawing(f"The share of calls that failed.{said}", drawn))
    changes = [] if isinstance(facts.events, Unknown) else [e for e in facts.events if e["action"] == "health"][:10]
    if changes:
        part.tell(Table("Changes of health", [{"at": e["at"], "version": e["version"], "from": e["before"], "to": e["after"], "why": e["reason"]} for e in changes]))
    return part


def traffic(facts: Facts) -> Part:
    """Calls and rows over time by version, and what was counted."""
    part = Part("traffic", "Traffic")
    rows = _some(part, facts.served, "With shared_preload_libraries = 'e2i_serve' a row is written every 30 seconds; e2i_flush_metrics() writes one by hand.")
    if rows:
        marks = _deployments(facts)
        requests, predictions, errors = (sum(r[name] or 0 for r in rows) for name in ("requests", "predictions", "errors"))
        width = facts.step.total_seconds() * 1000
        colours = _versions_of(facts)
        part.tell(
            f"{requests:,.0f} requests, {predictions:,.0f} rows scored, {errors:,.0f} errors. A bar is {_span(facts.step.total_seconds())}.",
            Drawing("Requests. Dotted lines: deployments.", figures.bars_over_time(rows, colours, "requests", "requests", width, marks)),
            Drawing("Rows scored.", figures.bars_over_time(rows, colours, "predictions", "rows", width, marks)),
        )
    if not isinstance(facts.counters, Unknown) and facts.counters:
        names = ("version", "function", "engine", "requests", "predictions", "errors", "errors_by_kind")
        part.tell(Table(f"Counted since {_moment(facts.counters[0]['since'])}", [{n.replace("_", " "): r[n] for n in names} for r in facts.counters]))
    return part


def _deployments(facts: Facts) -> list[tuple[Any, str]]:
    """The latest moments at which another version began to serve, one a bar, the last that happened in it."""
    found: dict[int, tuple[Any, str]] = {}
    for event in [] if isinstance(facts.events, Unknown) else facts.events:
        if event["action"] in ("deploy", "rollback") and event["at"] >= facts.since:
            found.setdefault(int((event["at"] - facts.since) / (4 * facts.step)), (event["at"], f"{event['action']} {event['after'] or event['version']}"))
    return list(found.values())[:6]


def latency(facts: Facts) -> Part:
    """How long calls take."""
    part = Part("latency", "Latency")
    rows = facts.served if isinstance(facts.served, Unknown) else [r for r in facts.served if r["p50"] is not None]
    rows = _some(part, rows, "Calls are timed as they are counted.")
    limits = facts.limits.get("p95_latency_ms")
    if rows:
        limit = {name: limits[name] for name in ("degraded", "unhealthy") if 0 < limits[name] < math.inf} if limits else {}
        at = sorted({r["at"] for r in rows})
        lines = {
            name: [(moment, max((r[key] for r in rows if r["at"] == moment and r[key]), default=None)) for moment in at]
            for name, key in (("p50", "p50"), ("p95", "p95"), ("p99", "p99"))
        }
        said = f" p95 is degraded from {limits['degraded']:g} ms on." if limits else ""
        part.tell(Drawing(f"Milliseconds a call, of a version that served; the scale is logarithmic.{said}", figures.lines_over_time(lines, "ms", limit, log=True)))
    if not isinstance(facts.counters, Unknown) and facts.counters:
        names = ("version", "function", "p50_ms", "p95_ms", "p99_ms", "max_ms", "avg_ms")
        timed = [{n.replace("_", " "): r[n] for n in names} for r in facts.counters if r["p50_ms"] is not None]
        if timed:
            part.tell(Table(f"By function, since {_moment(facts.counters[0]['since'])}", timed))
    return part


def canary(facts: Facts) -> Part:
    """Versions that serve beside the active one: what they answer, how fast, how far apart."""
    part = Part("canary", "Canary and shadow against the active version")
    current = facts.current[0] if not isinstance(facts.current, Unknown) and facts.current else {}
    if current.get("traffic"):
        part.tell("Traffic: " + ", ".join(f"{name} {share:g}" for name, share in current["traffic"].items()) + ".")
    if current.get("shadow"):
        part.tell(f"{current['shadow']} is the shadow of {current['shadow_sample'] or 1:.0%} of the rows.")
    rows = _some(part, facts.answers, "Answers are compared by the inference log: e2i_set_inference_log(service, sample => 0.1).")
    if rows:
        named = [{**r, "name": f"{r['version']}, {r['served_as']}"} for r in rows]
        colours = _versions_of(facts)
        names = {r["name"]: (colours[r["version"]], r["served_as"]) for r in sorted(named, key=lambda r: r["served_as"])}
        part.tell(Drawing("How answers spread; each line is a share of its own rows.", figures.histograms(named, names, BARS)))
    if not isinstance(facts.logged, Unknown) and facts.logged:
        part.tell(Table("Rows of the inference log", facts.logged))
    if not isinstance(facts.shadow, Unknown) and facts.shadow:
        part.tell(Table("The same rows, scored by the shadow", [{k.replace("_", " "): v for k, v in r.items()} for r in facts.shadow]))
    return part


def calibration(facts: Facts) -> Part:
    """Whether intervals and sets hold what they promise, and how probabilities are put right."""
    part = Part("calibration", "Calibration")
    rows = _some(part, facts.calibrations, "SELECT e2i_calibrate('model', 'labelled rows', 'column of truth') makes a calibration.")
    checked = [r for r in rows if r["checked_n"]]
    if checked:
        points = []
        for r in checked:
            low, high = wilson(r["checked_covered"], r["checked_n"])
            points.append({"name": _calibrated(r), "found": r["checked_covered"] / r["checked_n"], "low": low, "high": high, "level": r["checked_level"]})
        part.tell(Drawing("Coverage as it was checked last. Where the range ends before the mark, the promise is not kept.", figures.coverages(points)))
    for space, x in (("probability", "what the model says"), ("margin", "the model's margin")):
        lines = {}
        for r in rows:
            maps = (r["maps"] or {}).get("maps", []) if r["space"] == space else []
            for number, curve in enumerate(maps):
                label = (r["class_labels"] or [])[number : number + 1]
                lines[" ".join([_calibrated(r), *(f"class {c}" for c in label if len(maps) > 1)])] = curve_of(curve, space)
        if lines:
            part.tell(Drawing("From what the model says to the calibrated probability.", figures.curves(lines, x)))
    if rows:
        table = [
            {"version": r["version"], "purpose": r["purpose"], "method": r["method"], "group": r["group"], "rows": r["n"], "from": r["source"], "truth": r["target"],
             "made": r["made_at"], "checked": r["checked_at"]}
            for r in rows
        ]  # fmt: skip
        part.tell(Table("Calibrations", table))
    return part


def drift(facts: Facts) -> Part:
    """What callers got over time, and how much features mattered when that was asked."""
    part = Part("drift", "Drift")
    answers = facts.answers_over_time
    if isinstance(answers, Unknown) or len(answers) > 1:
        answers = _some(part, answers, "")
        if answers:
            part.tell(Drawing("Answers that callers got, over time.", figures.band_over_time(answers, "answer")))
    analyses = [] if isinstance(facts.importances, Unknown) else facts.importances
    if analyses:
        latest = analyses[0]
        same = [a for a in analyses if a["class"] == latest["class"]]
        top = [name for name, _ in sorted(latest["importance"].items(), key=lambda item: -item[1])[:8]]
        shares = {name: [(a["at"], a["importance"].get(name, 0) / (sum(a["importance"].values()) or 1)) for a in reversed(same)] for name in top}
        part.tell(Drawing(f"Share of each feature in what the model says, at each of {len(same)} analyses (e2i_importance, store => true).", figures.lines_over_time(shares, "share", {}, percent=True)))
    if not isinstance(facts.moved, Unknown) and facts.moved:
        part.tell(Table("How far importance moved from one analysis to the next; a rank correlation of 1 is the same order", facts.moved))
    if not part.blocks:
        part.tell(f"{NOTHING} The inference log shows how answers change; e2i_importance(…, store => true), done again later, how much features matter.")
    return part


def versions(facts: Facts) -> Part:
    """Every version with its metrics."""
    part = Part("versions", "Versions")
    rows = _some(part, facts.versions, "")
    if rows:
        measured = sorted({name for r in rows for name, value in (r["metrics"] or {}).items() if isinstance(value, (int, float))})[:6]
        part.tell(Table("", [{**{k: v for k, v in r.items() if k != "metrics"}, **{name: (r["metrics"] or {}).get(name) for name in measured}} for r in rows]))
    return part


def events(facts: Facts) -> Part:
    """What was done."""
    part = Part("events", "Events")
    rows = _some(part, facts.events, "")
    if rows:
        part.tell(Table("The newest 20", rows[:20]))
    return part


def wilson(covered: int, n: int) -> tuple[float, float]:
    """The 95 % range of a share, by Wilson: within 0 and 1, also of few rows."""
    z = 1.959963984540054
    share, scale = covered / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def curve_of(curve: dict[str, Any], space: str) -> tuple[list[float], list[float]]:
    """A curve as e2i_calibrate keeps it: corners, or a formula at a hundred places."""
    if "isotonic" in curve:
        return curve["isotonic"]["places"], curve["isotonic"]["values"]
    places = [(i + 0.5) / 100 for i in range(100)] if space == "probability" else [(i - 50) / 8 for i in range(101)]
    if "platt" in curve:
        a, b = curve["platt"]["a"], curve["platt"]["b"]
        return places, [_logistic(-(a * x + b)) for x in places]
    a, b, c = (curve["beta"][name] for name in "abc")
    return places, [_logistic(a * math.log(x) - b * math.log(1 - x) + c) for x in places]


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _calibrated(row: dict[str, Any]) -> str:
    return f"{row['version']} {row['purpose']}" + (f" {row['group']}" if row["group"] is not None else "")


def _by_version(rows: Rows, value: str) -> dict[str, list[tuple[Any, float | None]]]:
    lines: dict[str, list[tuple[Any, float | None]]] = {}
    for r in rows:
        lines.setdefault(r["version"], []).append((r["at"], r[value]))
    return lines


def _moment(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _span(seconds: float) -> str:
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds / size
            return f"{count:g} {name}" + ("s" if count != 1 else "")
    return f"{seconds:g} seconds"
