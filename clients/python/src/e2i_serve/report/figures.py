"""Figures of plotly, as dicts of JSON. They have no colours of paper and text: the page sets these, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plotly import graph_objects as go

#: Told apart by people who see red and green alike, on white and on black.
COLOURS = ("#3d85d9", "#e0812f", "#2a9d76", "#b565c9", "#d1495b", "#8a8f2e", "#3aa6b9", "#9a7656")
BAD, WARN = "#d1495b", "#d99a1c"

Figure = dict[str, Any]


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """The same colour for the same version wherever it is drawn."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def _figure(traces: list[Any], y: str, x: str | None = None, **layout: Any) -> Figure:
    figure = go.Figure(traces)
    figure.update_layout(
        template="none", height=320, margin={"l": 60, "r": 16, "t": 40, "b": 40}, hovermode="x unified",
        legend={"orientation": "h", "y": 1.02, "x": 0, "yanchor": "bottom"}, barmode="stack", showlegend=True,
    )  # fmt: skip
    figure.update_yaxes(title={"text": y, "standoff": 8}, automargin=True, zeroline=False, rangemode="tozero")
    figure.update_xaxes(automargin=True, zeroline=False)
    if x is not None:
        figure.update_xaxes(title={"text": x, "standoff": 8})
        figure.update_layout(hovermode="closest")
    figure.update_layout(**layout)
    drawn: Figure = figure.to_plotly_json()
    return drawn


def bars_over_time(rows: list[dict[str, Any]], colours: dict[str, str], value: str, y: str, width_ms: float, marks: list[tuple[Any, str]]) -> Figure:
    """Stacked bars, one colour a version, with lines where something was deployed."""
    traces = [
        go.Bar(
            name=version, x=[r["at"].isoformat() for r in rows if r["version"] == version], y=[r[value] for r in rows if r["version"] == version],
            marker={"color": colour, "line": {"width": 0}}, width=width_ms, offset=0, hovertemplate="%{y:,.0f}",
        )
        for version, colour in colours.items()
        if any(r["version"] == version for r in rows)
    ]  # fmt: skip
    shapes = [
        {"type": "line", "x0": at.isoformat(), "x1": at.isoformat(), "y0": 0, "y1": 1, "yref": "paper", "line": {"width": 1, "dash": "dot", "color": "#888"}}
        for at, _ in marks
    ]
    first, last = rows[0]["at"], rows[-1]["at"]
    notes = [
        {"x": at.isoformat(), "y": 1, "yref": "paper", "text": text, "showarrow": False, "yanchor": "top", "font": {"size": 11},
         "xanchor": "right" if last > first and (at - first) / (last - first) > 0.5 else "left"}
        for at, text in marks
    ]  # fmt: skip
    return _figure(traces, y, shapes=shapes, annotations=notes)


def lines_over_time(
    series: dict[str, list[tuple[Any, float | None]]], y: str, limits: dict[str, float], *, log: bool = False, percent: bool = False, colours: dict[str, str] | None = None
) -> Figure:
    """Lines, with limits that are within sight."""
    chosen = colours or colours_of(list(series))
    traces = [
        go.Scatter(
            name=name, x=[at.isoformat() for at, _ in points], y=[value for _, value in points], mode="lines+markers", marker={"size": 4},
            line={"width": 2, "color": chosen[name]}, hovertemplate="%{y:.2%}" if percent else "%{y:,.4g}",
        )
        for name, points in series.items()
    ]  # fmt: skip
    values = [value for points in series.values() for _, value in points if value is not None]
    top = max(values, default=0.0)
    # A limit far above would leave the lines flat; the text beside the figure names it.
    seen = {name: at for name, at in limits.items() if at <= max((30 if log else 2) * top, 0.12 if percent else 0.0)}
    shapes = [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at, "line": {"width": 1.5, "dash": "dash", "color": BAD if name == "unhealthy" else WARN}} for name, at in seen.items()]
    notes = [
        {"xref": "paper", "x": 1, "y": _log10(at) if log else at, "text": name, "showarrow": False, "xanchor": "right", "yanchor": "bottom", "font": {"size": 11, "color": BAD if name == "unhealthy" else WARN}}
        for name, at in seen.items()
    ]
    figure = _figure(traces, y, shapes=shapes, annotations=notes)
    if log:
        figure["layout"]["yaxis"].update({"type": "log", "rangemode": "normal", "minor": {"showgrid": False}, "dtick": 1})
    if percent:
        figure["layout"]["yaxis"].update({"tickformat": ".1%", "range": [0, max(1.15 * max([top, *seen.values()], default=0), 0.01)]})
    return figure


def _log10(value: float) -> float:
    import math

    return math.log10(value)


#: The lines of how a version was served.
DASHES = {"active": "solid", "canary": "dash", "shadow": "dot"}


def histograms(rows: list[dict[str, Any]], names: dict[str, tuple[str, str]], bars: int) -> Figure:
    """The share of rows in each part of the range, a line of steps for each series, so that few rows compare with many."""
    low, high = rows[0]["low"], rows[0]["high"]
    width = (high - low) / bars if high > low else 1.0
    traces = []
    for name, (colour, served_as) in names.items():
        mine = {r["bar"]: r["rows"] for r in rows if r["name"] == name}
        total = sum(mine.values())
        edges = [low + i * width for i in range(bars + 1)]
        shares = [mine.get(i, 0) / total for i in range(bars)]
        traces.append(
            go.Scatter(
                name=f"{name} ({total:,} rows)", x=edges, y=[*shares, shares[-1]], mode="lines", line={"shape": "hv", "width": 2, "color": colour, "dash": DASHES[served_as]},
                fill="tozeroy", fillcolor=colour + "22", hovertemplate="from %{x:.4g}: %{y:.1%}",
            )
        )  # fmt: skip
    figure = _figure(traces, "share of rows", "answer")
    figure["layout"]["yaxis"]["tickformat"] = ".0%"
    return figure


def band_over_time(rows: list[dict[str, Any]], y: str) -> Figure:
    """The median, the middle half, and nine tenths of what was answered."""
    at = [r["at"].isoformat() for r in rows]
    quantiles = list(zip(*(r["quantiles"] for r in rows)))
    colour = COLOURS[0]
    traces: list[Any] = []
    for name, lower, upper, shade in (("5 % to 95 %", 0, 4, "22"), ("25 % to 75 %", 1, 3, "44")):
        traces.append(go.Scatter(x=at, y=quantiles[lower], mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip"))
        traces.append(go.Scatter(name=name, x=at, y=quantiles[upper], mode="lines", line={"width": 0}, fill="tonexty", fillcolor=colour + shade, hoverinfo="skip"))
    traces.append(go.Scatter(name="median", x=at, y=quantiles[2], mode="lines+markers", marker={"size": 4}, line={"width": 2, "color": colour}, hovertemplate="%{y:,.4g}"))
    figure = _figure(traces, y)
    figure["layout"]["yaxis"]["rangemode"] = "normal"
    return figure


def coverages(rows: list[dict[str, Any]]) -> Figure:
    """What was promised and what was found, with the range that the number of rows leaves open."""
    names = [r["name"] for r in rows]
    traces = [
        go.Scatter(
            name="found, with its 95 % range", x=[r["found"] for r in rows], y=names, mode="markers", marker={"size": 10, "color": COLOURS[0]},
            error_x={"type": "data", "symmetric": False, "array": [r["high"] - r["found"] for r in rows], "arrayminus": [r["found"] - r["low"] for r in rows]},
            hovertemplate="%{x:.1%}",
        ),
        go.Scatter(name="promised", x=[r["level"] for r in rows], y=names, mode="markers", marker={"symbol": "line-ns-open", "size": 18, "color": WARN, "line": {"width": 3}}, hovertemplate="%{x:.1%}"),
    ]  # fmt: skip
    figure = _figure(traces, "", "truths that were covered", height=150 + 34 * len(rows))
    figure["layout"]["xaxis"].update({"tickformat": ".1%", "nticks": 5, "tickangle": 0})
    figure["layout"]["yaxis"].update({"autorange": "reversed", "type": "category"})
    return figure


def curves(series: dict[str, tuple[list[float], list[float]]], x: str) -> Figure:
    """Calibration: from what the model says to what is so. On the diagonal nothing is changed."""
    traces = [
        go.Scatter(name=name, x=xs, y=ys, mode="lines", line={"width": 2, "color": COLOURS[i % len(COLOURS)]}, hovertemplate="%{x:.3g} → %{y:.3g}")
        for i, (name, (xs, ys)) in enumerate(series.items())
    ]
    if x == "what the model says":
        traces.insert(0, go.Scatter(name="unchanged", x=[0, 1], y=[0, 1], mode="lines", line={"width": 1, "dash": "dot", "color": "#888"}, hoverinfo="skip"))
    figure = _figure(traces, "calibrated probability", x)
    figure["layout"]["yaxis"]["range"] = [0, 1.02]
    return figure
