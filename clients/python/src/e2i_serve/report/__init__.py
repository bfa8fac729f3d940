"""A service on one page of HTML, that opens without a network and without this package.

`facts` asks the database, `parts` says what is to be seen in the answers, `figures` draws, `page` writes the HTML.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from ..database import Connection, open_database
from ..errors import E2iError, NotInstalled

__all__ = ["report"]


def report(service: str, connection: str | Connection, out: str | Path | None = None, since: timedelta = timedelta(days=7)) -> str:
    """How a service fares: traffic, latency, health, calibration, canary against active, drift; as one HTML file.

    :param service: a service, or a model that is not deployed.
    :param out: where to write it; it is returned, too.
    :param since: how far back figures over time go.
    :raises E2iError: there is neither a service nor a model of that name.
    """
    if since <= timedelta(0):
        raise E2iError("a report looks back: since is longer than nothing")
    try:
        import plotly  # noqa: F401
    except ImportError:
        raise NotInstalled("plotly", "report") from None
    from .facts import Facts
    from .page import page
    from .parts import parts

    with open_database(connection) as database:
        facts = Facts(database, service, since)
        html = page(facts, parts(facts))
    if out is not None:
        Path(out).write_text(html, encoding="utf-8")
    return html
