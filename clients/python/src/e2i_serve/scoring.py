"""Rows of the client, scored by the server: COPY into a temporary table, one SELECT over it, the scores back.

Ten thousand rows so take a third of what one JSON payload takes, because nothing is written or parsed as JSON.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from psycopg import sql

from .database import Connection, Database, open_database
from .errors import E2iError, NotInstalled

Output = Literal["prediction", "label", "probabilities", "vector", "explanation"]

FUNCTIONS: dict[str, str] = {
    "prediction": "e2i_predict",
    "label": "e2i_predict_label",
    "probabilities": "e2i_predict_proba",
    "vector": "e2i_predict_vector",
    "explanation": "e2i_explain",
}

#: Rows that are scored by one statement: a million numbers in memory at a time, and a bar that moves.
BATCH = 50_000

_names = itertools.count(1)


def score(
    rows: Any,
    model: str,
    connection: str | Connection,
    output: Output = "prediction",
    on_rows: Callable[[int], None] = lambda count: None,
) -> Any:
    """One score a row.

    :param rows: a data frame of pandas or polars, a table of pyarrow, or an array. Columns are bound by name, an array's by
        position. NaN and None are missing values. Columns that the model does not read are not sent.
    :param model: any reference: ``churn``, ``churn:3``, ``churn@champion``, ``models:/churn/3``.
    :param output: what `e2i_predict`, `e2i_predict_label`, `e2i_predict_proba`, `e2i_predict_vector` or `e2i_explain` gives.
    :param on_rows: called with the number of rows that were scored since the last call.
    :returns: a Series with the frame's index for a data frame of pandas, else a list.
    """
    table = _table(rows)
    with open_database(connection) as database:
        scores = list(itertools.chain.from_iterable(score_batches(database, table, model, output, on_rows)))
    if type(rows).__module__.split(".")[0] == "pandas":
        import pandas

        kind: Any = {"prediction": "float64"}.get(output, object)
        return pandas.Series(scores, index=rows.index, dtype=kind, name=model)
    return scores


def score_batches(
    database: Database, table: Any, model: str, output: Output, on_rows: Callable[[int], None]
) -> Iterator[list[Any]]:
    """The scores of a table of pyarrow, a batch after the other, in the order of its rows."""
    if output not in FUNCTIONS:
        raise E2iError(f"output is one of {', '.join(FUNCTIONS)}, not {output!r}")
    features = [
        row["name"]
        for row in database.rows(
            "SELECT name FROM {e2i}.e2i_describe_model(%s) WHERE kind = 'feature' ORDER BY position", (model,)
        )
    ]
    if table.column_names == [str(i) for i in range(table.num_columns)] and table.num_columns == len(features):
        table = table.rename_columns(features)
    known = set(features)
    chosen = [name for name in table.column_names if name in known] or table.column_names
    table = table.select(chosen)
    for start in range(0, table.num_rows, BATCH):
        part = table.slice(start, BATCH)
        yield _scored(database, part, model, output)
        on_rows(part.num_rows)


def _scored(database: Database, table: Any, model: str, output: str) -> list[Any]:
    import pyarrow

    name = sql.Identifier(f"e2i_rows_{next(_names)}")
    # Of a name that no feature has: what is not a feature is not read.
    position = "e2i_row_position"
    numbered = table.add_column(0, position, pyarrow.array(range(table.num_rows), pyarrow.int64()))
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(f.name), sql.SQL(_type(f.type))) for f in numbered.schema  # type: ignore[arg-type]
    )
    with database.connection.transaction(), database.connection.cursor(binary=True) as cursor:
        cursor.execute(sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(name, columns))
        with cursor.copy(sql.SQL("COPY pg_temp.{} FROM STDIN (FORMAT csv)").format(name)) as copy:
            _write_csv(numbered, copy)
        cursor.execute(
            sql.SQL("SELECT {}.{}({}::text, r) FROM pg_temp.{} r ORDER BY {}").format(
                sql.Identifier(database.schema), sql.Identifier(FUNCTIONS[output]), sql.Literal(model), name, sql.Identifier(position)
            )
        )
        return [next(iter(row.values())) if isinstance(row, dict) else row[0] for row in cursor.fetchall()]


def _write_csv(table: Any, copy: Any) -> None:
    """Numbers with the digits that give the same number back; NULL as nothing, an empty text as quotes."""
    import pyarrow.csv

    class Sink:
        closed = False

        def write(self, data: Any) -> int:
            copy.write(bytes(data))
            return len(data)

        def flush(self) -> None: ...

        def close(self) -> None: ...

    options = pyarrow.csv.WriteOptions(include_header=False, batch_size=8192)
    pyarrow.csv.write_csv(table, pyarrow.PythonFile(Sink(), "w"), options)


def _type(kind: Any) -> str:
    from pyarrow import types

    if types.is_boolean(kind):
        return "boolean"
    if types.is_uint64(kind):
        return "numeric"
    if types.is_integer(kind):
        return "bigint"
    if types.is_float32(kind) or types.is_float16(kind):
        return "real"
    if types.is_floating(kind):
        return "double precision"
    if types.is_decimal(kind):
        return "numeric"
    if types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    if types.is_date(kind):
        return "date"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind):
        return "text"
    raise E2iError(f"a column of {kind} cannot be scored: numbers, texts, booleans and points in time can")


def _table(rows: Any) -> Any:
    """Rows as a table of pyarrow. Categories are texts, NaN is NULL."""
    try:
        import pyarrow
    except ImportError:
        raise NotInstalled("pyarrow", "frames") from None
    if isinstance(rows, (str, Path)):
        return read_table(rows)
    if isinstance(rows, pyarrow.Table):
        return _plain(rows)
    if hasattr(rows, "to_arrow"):
        return _plain(rows.to_arrow())
    import pandas

    if not isinstance(rows, pandas.DataFrame):
        rows = pandas.DataFrame(rows)
    return _plain(pyarrow.Table.from_pandas(rows.rename(columns=str), preserve_index=False))


def _plain(table: Any) -> Any:
    import pyarrow
    import pyarrow.compute as compute

    columns = []
    for column, field in zip(table.columns, table.schema):
        if pyarrow.types.is_dictionary(field.type):
            column = column.cast(field.type.value_type)
        if pyarrow.types.is_floating(column.type):
            column = compute.if_else(compute.is_nan(column), pyarrow.scalar(None, column.type), column)
        if str(column.type).endswith("string_view"):
            column = column.cast(pyarrow.string())
        columns.append(column)
    return pyarrow.table(columns, names=table.column_names)


def read_table(path: str | Path) -> Any:
    """A file of rows as a table of pyarrow: .parquet, .csv, .jsonl."""
    try:
        import pyarrow.csv
        import pyarrow.json
        import pyarrow.parquet
    except ImportError:
        raise NotInstalled("pyarrow", "frames") from None
    path = Path(path)
    if not path.exists():
        raise E2iError(f"there is no file {path}")
    ending = path.suffix.lower()
    if ending == ".parquet":
        return _plain(pyarrow.parquet.read_table(path))
    if ending == ".csv":
        return _plain(pyarrow.csv.read_csv(path))
    if ending in (".jsonl", ".ndjson"):
        return _plain(pyarrow.json.read_json(path))
    raise E2iError(f"{path.name} is none of .parquet, .csv, .jsonl")


def write_scores(path: str | Path, table: Any, scores: list[Any], output: Output) -> None:
    """The rows with their scores as a further last column, into a .parquet or .csv file.

    Explanations are a column for what is expected without features, and one for what each feature adds.
    """
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    path = Path(path)
    ending = path.suffix.lower()
    if ending == ".csv" and output in ("probabilities", "vector"):
        width = max((len(row) for row in scores if row is not None), default=0)
        for i in range(width):
            table = table.append_column(f"{output}_{i}", pyarrow.array([None if row is None else row[i] for row in scores]))
    elif output == "explanation":
        features = [one["feature"] for one in next((row for row in scores if row is not None), {"contributions": []})["contributions"]]
        added = [{one["feature"]: one["contribution"] for one in row["contributions"]} if row is not None else {} for row in scores]
        table = table.append_column("base_value", pyarrow.array([None if row is None else row["base_value"] for row in scores], pyarrow.float64()))
        for name in features:
            table = table.append_column(f"contribution_{name}", pyarrow.array([row.get(name) for row in added], pyarrow.float64()))
    else:
        table = table.append_column(output, pyarrow.array(scores))
    if ending == ".parquet":
        pyarrow.parquet.write_table(table, path)
    elif ending == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        raise E2iError(f"{path.name} is neither .parquet nor .csv")
