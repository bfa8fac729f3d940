"""The HTML: words, tables, figures, and the library that draws them, in one file. Everything from the database is escaped."""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Any

from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from .facts import Facts, Unknown
from .parts import Drawing, Part, Table

STATES = {"healthy": "good", "degraded": "warn", "unhealthy": "bad"}


def page(facts: Facts, parts: list[Part]) -> str:
    """The whole file."""
    drawings: list[Any] = []
    sections = "\n".join(_section(part, drawings) for part in parts)
    links = "".join(f'<a href="#{part.name}">{escape(part.title.split(" ")[0])}</a>' for part in parts)
    title = escape(facts.service)
    # A script ends at its closing tag, wherever that stands.
    data = to_json_plotly(drawings).replace("<", "\\u003c")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="e2i-serve">
<title>{title}: report</title>
<style>
{_asset("report.css")}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{_when(facts.since)} to {_when(facts.until)} ({escape(str(facts.until.tzinfo))}), in the database <b>{escape(facts.database.connection.info.dbname)}</b></p>
{_tiles(facts)}
<nav aria-label="Parts">{links}</nav>
</header>
<main>
{sections}
</main>
<noscript><p class="empty">The figures need JavaScript; tables and words do not.</p></noscript>
<script type="application/json" id="drawings">{data}</script>
<script>{get_plotlyjs()}</script>
<script>
{_asset("report.js")}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _tiles(facts: Facts) -> str:
    """What is deployed, at a glance."""
    current = facts.current
    if isinstance(current, Unknown):
        return f'<p class="empty">What is deployed is not to be seen by this role: {escape(current.reason)}.</p>'
    if not current:
        return '<p class="empty">Not deployed: e2i_deploy makes a version answer to this name.</p>'
    row = current[0]
    health = facts.health[0]["status"] if not isinstance(facts.health, Unknown) and facts.health else row["health"]
    tiles = [
        ("health", health, STATES.get(str(health), "")),
        ("version", row["version"], ""),
        ("stage", row["stage"], ""),
        ("deployed", _when(row["since"]), ""),
        ("task", str(row["task"] or "").replace("_", " "), ""),
        ("engine", row["engine"], ""),
    ]
    cells = "".join(f'<div class="tile {kind}"><dt>{name}</dt><dd>{escape(str(value))}</dd></div>' for name, value, kind in tiles if value)
    return f'<dl class="tiles">{cells}</dl>'


def _section(part: Part, drawings: list[Any]) -> str:
    blocks = []
    for block in part.blocks:
        if isinstance(block, Drawing):
            drawings.append(block.figure)
            number = len(drawings) - 1
            blocks.append(
                f'<figure><figcaption>{escape(block.about)}</figcaption><div class="drawing" data-drawing="{number}" role="img" '
                f'aria-label="{escape(block.about)}" style="min-height:{block.figure["layout"]["height"]}px"></div></figure>'
            )
        elif isinstance(block, Table):
            blocks.append(_table(block))
        else:
            blocks.append(f'<p class="{"empty" if len(part.blocks) == 1 and _is_empty(block) else ""}">{escape(block)}</p>')
    return f'<section id="{part.name}"><h2>{escape(part.title)}</h2>\n' + "\n".join(blocks) + "\n</section>"


def _is_empty(text: str) -> bool:
    return text.startswith(("Nothing recorded", "Not to be seen"))


def _table(table: Table) -> str:
    names = [name for name in table.rows[0] if any(row[name] not in (None, "") for row in table.rows)]
    right = {name: _kind([row[name] for row in table.rows]) for name in names}
    head = "".join(f'<th scope="col"{right[name]}>{escape(name)}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td{right[name]}>{escape(_cell(row[name]))}</td>" for name in names) + "</tr>" for row in table.rows)
    caption = f"<caption>{escape(table.about)}</caption>" if table.about else ""
    return f'<div class="wide" tabindex="0"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _kind(values: list[Any]) -> str:
    """Numbers stand to the right, and neither they nor dates are broken."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, datetime) for value in known):
        return ' class="d"'
    return ' class="n"' if known and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known) else ""


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return _when(value)
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {inner}" for name, inner in value.items())
    if isinstance(value, list):
        return json.dumps(value)
    return str(value)


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
