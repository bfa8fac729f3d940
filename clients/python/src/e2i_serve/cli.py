"""The command ``e2i-serve``: reads arguments, prints; what is done is done elsewhere."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Optional

import psycopg
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from .errors import E2iError, Refused

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Models into PostgreSQL, scores out of it.")

To = Annotated[
    str, typer.Option("--to", envvar="E2I_SERVE_URL", help="connection string; '' takes PGHOST, PGDATABASE, … (also by E2I_SERVE_URL)")
]


def _errors() -> Console:
    return Console(stderr=True)


def _progress(*columns: ProgressColumn) -> Progress:
    """A bar on standard error, where both are a terminal: what goes to a file or a pipe has nothing beside it."""
    return Progress(*columns, console=_errors(), transient=True, disable=not (sys.stdout.isatty() and sys.stderr.isatty()))


@contextmanager
def told() -> Iterator[None]:
    """Errors as one line and exit code 1, as psql has them."""
    try:
        yield
    except Refused as problem:
        print(problem)
        print("REFUSED")
        raise typer.Exit(1) from None
    except E2iError as problem:
        print(f"error: {problem}", file=sys.stderr)
        raise typer.Exit(1) from None
    except psycopg.Error as problem:
        diagnostics = problem.diag
        print(f"error: {diagnostics.message_primary or problem}", file=sys.stderr)
        for title, text in (("detail", diagnostics.message_detail), ("hint", diagnostics.message_hint)):
            if text:
                print(f"{title}: {text}", file=sys.stderr)
        raise typer.Exit(1) from None


@app.command()
def push(
    model: Annotated[str, typer.Argument(help="a file, models:/name@alias, models:/name/version, or runs:/id/path")],
    name: Annotated[str, typer.Option(help="name of the model")],
    to: To = "",
    version: Annotated[Optional[str], typer.Option(help="name of the version; default: MLflow's number, else the next")] = None,
    alias: Annotated[Optional[str], typer.Option(help="alias that the version gets")] = None,
    deploy: Annotated[bool, typer.Option("--deploy", help="the bare name means this version from now on")] = False,
    sample: Annotated[Optional[Path], typer.Option(help="rows to compare: .parquet, .csv, .jsonl")] = None,
    description: Annotated[Optional[str], typer.Option()] = None,
    tolerance: Annotated[float, typer.Option(help="how far an output may be from the training library's")] = 1e-5,
    rows: Annotated[int, typer.Option(help="the largest number of golden rows")] = 100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="do everything and roll back")] = False,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="open pickles here, which executes what is in them")] = False,
    trust: Annotated[Optional[list[str]], typer.Option(help="a further type that a .skops file may contain")] = None,
) -> None:
    """Register a model, if the server scores its golden rows as the training library does."""
    from .push import push as do_push

    columns = (SpinnerColumn(), BarColumn(bar_width=20), TextColumn("{task.description}"), TimeElapsedColumn())
    with told(), _progress(*columns) as progress:
        task = progress.add_task("starting", total=4)
        pushed = do_push(
            model, name, to, version=version, alias=alias, deploy=deploy, sample=sample, description=description, tolerance=tolerance,
            rows=rows, dry_run=dry_run, allow_pickle=allow_pickle, trust=tuple(trust or ()),
            on_step=lambda step: progress.update(task, description=step, advance=1),
        )  # fmt: skip
    print(f"{pushed.reference} {pushed.action}" + (" (the same bytes are registered already)" if pushed.action == "unchanged" else ""))
    for line in [*pushed.differs, *pushed.parity.lines()]:
        print(line)
    if not pushed.parity.passed:
        raise typer.Exit(1)


@app.command()
def verify(model: str, to: To = "") -> None:
    """Score the golden rows of a version again."""
    from .reading import verify as do_verify

    with told():
        report = do_verify(model, to)
    for line in report.lines():
        print(line)
    if not report.passed:
        raise typer.Exit(1)


@app.command(name="list")
def list_(to: To = "", as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """Every version with its aliases, its stage, and where it is deployed."""
    from .reading import models

    with told():
        _print(models(to), as_json)


@app.command()
def describe(model: str, to: To = "", as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """The features and outputs of a model."""
    from .reading import describe as do_describe

    with told():
        _print(do_describe(model, to), as_json)


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="rows: .parquet, .csv, .jsonl")],
    model: Annotated[str, typer.Option(help="any reference: churn, churn:3, churn@champion")],
    to: To = "",
    out: Annotated[Optional[Path], typer.Option(help="the rows with their scores: .parquet, .csv; else scores, one a line")] = None,
    output: Annotated[str, typer.Option(help="prediction, label, probabilities, vector, explanation")] = "prediction",
) -> None:
    """Score the rows of a file."""
    _score(file, model, to, out, output)


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="rows: .parquet, .csv, .jsonl")],
    model: Annotated[str, typer.Option(help="any reference: churn, churn:3, churn@champion")],
    to: To = "",
    out: Annotated[Optional[Path], typer.Option(help="the rows with what each feature adds: .parquet, .csv; else JSON, one a line")] = None,
) -> None:
    """What each feature adds to the scores of the rows of a file."""
    _score(file, model, to, out, "explanation")


def _score(file: Path, model: str, to: str, out: Optional[Path], output: str) -> None:
    from .database import open_database
    from .scoring import read_table, score_batches, write_scores

    with told():
        table = read_table(file)
        bar = _progress(TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with bar, open_database(to) as database:
            task = bar.add_task("rows", total=table.num_rows)
            scores: list[Any] = []
            for part in score_batches(database, table, model, output, lambda count: bar.advance(task, count)):  # type: ignore[arg-type]
                scores += part
        if out is not None:
            write_scores(out, table, scores, output)  # type: ignore[arg-type]
            print(f"{len(scores)} rows into {out}")
        else:
            for value in scores:
                print(value if isinstance(value, str) else json.dumps(value))


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, default=str))
        return
    table = Table(box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in row.values()))
    Console().print(table)


import_app = typer.Typer(no_args_is_help=True, help="Whole registries.")
app.add_typer(import_app, name="import")


@import_app.callback()
def _import() -> None:
    """Whole registries."""


@import_app.command("mlflow")
def import_mlflow(
    to: To = "",
    name: Annotated[Optional[list[str]], typer.Option(help="only this model; may be said several times")] = None,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="open pickles here, which executes what is in them")] = False,
    trust: Annotated[Optional[list[str]], typer.Option(help="a further type that a .skops file may contain")] = None,
) -> None:
    """Every version of MLflow's registry (MLFLOW_TRACKING_URI), with aliases and stages."""
    from .importing import import_mlflow as do_import

    with told(), _progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()) as progress:
        task = progress.add_task("reading the registry", total=None)
        imported = do_import(
            to, names=tuple(name or ()), allow_pickle=allow_pickle, trust=tuple(trust or ()),
            on_step=lambda step: progress.update(task, description=step),
        )  # fmt: skip
    for version in imported:
        print(f"{version.uri}: {version.reference or 'REFUSED'} {version.action}")
    if any(version.reference is None for version in imported):
        raise typer.Exit(1)


@app.command()
def report(
    service: Annotated[str, typer.Argument(help="a service, or a model that is not deployed")],
    to: To = "",
    out: Annotated[Optional[Path], typer.Option(help="the file; default: SERVICE.html")] = None,
    days: Annotated[float, typer.Option(help="how far back it looks")] = 7.0,
) -> None:
    """One HTML file to look at: traffic, latency, health, calibration, canary against active, drift."""
    from datetime import timedelta

    from .report import report as do_report

    with told():
        path = out or Path(re.sub(r"[^\w.-]+", "_", service) + ".html")
        do_report(service, to, path, timedelta(days=days))
    print(path)


@app.command()
def gateway(
    to: To = "",
    keys: Annotated[Optional[Path], typer.Option(help='a file {"key": "role"}; a request has its role\'s rights')] = None,
    anonymous_role: Annotated[Optional[str], typer.Option(help="the role of requests without a key; without it they are refused")] = None,
    model: Annotated[Optional[str], typer.Option(help="what /predict means where a request names no model")] = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    workers: Annotated[int, typer.Option(help="processes")] = 1,
    connections: Annotated[int, typer.Option(help="connections a process")] = 8,
    max_body: Annotated[int, typer.Option(help="bytes")] = 8 * 1024 * 1024,
    timeout: Annotated[float, typer.Option(help="seconds a statement may take")] = 10.0,
    grace: Annotated[float, typer.Option(help="seconds that requests under way have when it is stopped")] = 10.0,
) -> None:
    """Serve HTTP for clients that cannot speak SQL."""
    from .errors import NotInstalled

    try:
        from .gateway import Settings, serve
        from .gateway.settings import read_keys
    except ImportError:
        with told():
            raise NotInstalled("starlette", "gateway") from None
    with told():
        known = read_keys(keys)
        if not known and anonymous_role is None:
            raise E2iError("nobody could score: give --keys FILE or --anonymous-role ROLE")
        settings = Settings(to=to, keys=known, anonymous_role=anonymous_role, model=model, max_body=max_body, timeout=timeout,
                            connections=connections, grace=grace)  # fmt: skip
        serve(settings, keys, host, port, workers)
