"""A connection to a database with the extension. Knows in which schema it is; knows nothing of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from .errors import E2iError

if TYPE_CHECKING:
    from typing_extensions import LiteralString

Connection = psycopg.Connection[Any]
Parameters = Mapping[str, Any] | Sequence[Any] | None

#: The extension's schema, or no row.
SCHEMA: LiteralString = (
    "SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'e2i_serve'"
)


def with_schema(query: LiteralString, schema: str) -> sql.Composed:
    """The query with the extension's schema wherever it says ``{e2i}``; other braces are doubled, as in `str.format`."""
    return sql.SQL(query).format(e2i=sql.Identifier(schema))


class Database:
    """Runs statements on a psycopg connection, wherever the extension is installed.

    Queries name the extension's objects as ``{e2i}.e2i_predict``: nothing depends on the connection's ``search_path``.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        with connection.cursor() as cursor:
            row = cursor.execute(SCHEMA).fetchone()
        if row is None:
            raise E2iError(f'the database "{connection.info.dbname}" has no e2i_serve: CREATE EXTENSION e2i_serve;')
        self.schema: str = next(iter(row.values())) if isinstance(row, dict) else row[0]

    def compose(self, query: LiteralString) -> sql.Composed:
        """The query with the extension's schema in it."""
        return with_schema(query, self.schema)

    def rows(self, query: LiteralString, parameters: Parameters = None) -> list[dict[str, Any]]:
        """All rows, as dicts."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(self.compose(query), parameters).fetchall()

    def value(self, query: LiteralString, parameters: Parameters = None) -> Any:
        """The first column of the first row, or None where there is no row."""
        rows = self.rows(query, parameters)
        return next(iter(rows[0].values())) if rows else None


@contextmanager
def open_database(target: str | Connection) -> Iterator[Database]:
    """A database by its connection string, closed afterwards; or by a connection of the caller's, which stays open.

    ``e2i://`` is read as ``postgresql://``, so that MLflow's target may be either.
    """
    if not isinstance(target, str):
        yield Database(target)
        return
    if target.startswith("e2i://"):
        target = "postgresql://" + target[len("e2i://") :]
    with psycopg.connect(target, autocommit=True, application_name="e2i-serve") as connection:
        yield Database(connection)
