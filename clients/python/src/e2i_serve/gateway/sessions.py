"""Connections to the database, and the role that each statement is made with."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from ..database import SCHEMA
from ..errors import E2iError
from .settings import Settings

AsyncConnection = psycopg.AsyncConnection[Any]


class Sessions:
    """A pool. A connection remembers its role, and changes it only when the next request has another."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.schema = ""
        self._roles: dict[int, str | None] = {}
        self._queries: dict[str, bytes] = {}
        self.pool: AsyncConnectionPool[AsyncConnection] = AsyncConnectionPool(
            settings.to,
            min_size=min(2, settings.connections),
            max_size=settings.connections,
            timeout=settings.timeout,
            max_waiting=settings.connections * 64,
            kwargs={"autocommit": True, "application_name": "e2i-serve gateway", "prepare_threshold": 0},
            configure=self._configure,
            open=False,
        )

    async def open(self) -> None:
        """Connects; fails where there is no extension."""
        await self.pool.open(wait=True, timeout=self.settings.timeout)
        async with self.pool.connection() as connection:
            row = await (await connection.execute(SCHEMA)).fetchone()
        if row is None:
            raise E2iError("the database has no e2i_serve: CREATE EXTENSION e2i_serve;")
        self.schema = row[0]

    async def close(self) -> None:
        """Waits for what is under way, then disconnects."""
        await self.pool.close(self.settings.grace)

    async def _configure(self, connection: AsyncConnection) -> None:
        milliseconds = int(self.settings.timeout * 1000)
        await connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(milliseconds)))
        self._roles.pop(id(connection), None)

    async def value(self, role: str | None, query: str, *parameters: Any) -> Any:
        """The first column of the first row of a statement made with a role; None where there is no row."""
        composed = self._queries.get(query)
        if composed is None:
            composed = self._queries[query] = sql.SQL(query).format(e2i=sql.Identifier(self.schema)).as_bytes()  # type: ignore[arg-type]
        async with self.pool.connection() as connection:
            # Of a connection that is new, whatever had its address before.
            if self._roles.get(id(connection), "") != role:
                self._roles.pop(id(connection), None)
                await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)) if role else sql.SQL("RESET ROLE"))
                self._roles[id(connection)] = role
            cursor = await connection.execute(composed, parameters)
            row = await cursor.fetchone()
        return None if row is None else row[0]
