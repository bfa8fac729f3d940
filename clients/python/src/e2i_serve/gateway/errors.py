"""Which HTTP status an SQLSTATE is, and what a client is told."""

from __future__ import annotations

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests
from starlette.responses import JSONResponse


class Refused(Exception):
    """A request that is wrong by itself, with the status that says how."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


#: What is not in the table and not a caller's mistake is 500, without the server's words.
STATUS = {
    "42704": 404,  # no such model, version or service
    "42501": 403,
    "42804": 400,
    "42883": 400,
    "0A000": 400,
    "55000": 409,
    "54000": 413,
    "57014": 504,  # statement_timeout
    "53200": 503,
    "53300": 503,
    "57P01": 503,
    "57P02": 503,
    "57P03": 503,
}


def answer_to(problem: Exception) -> JSONResponse:
    """``{"error": …}`` with the server's message and hint where the caller can do something about it."""
    if isinstance(problem, Refused):
        headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
        return JSONResponse({"error": str(problem)}, problem.status, headers)
    if isinstance(problem, (PoolTimeout, TooManyRequests)):
        return JSONResponse({"error": "no connection is free"}, 503, {"Retry-After": "1"})
    if isinstance(problem, psycopg.Error):
        state = problem.sqlstate
        if state is None:
            return JSONResponse({"error": "the database cannot be reached"}, 503, {"Retry-After": "1"})
        message = problem.diag.message_primary or ""
        # What cannot be a model's name is none that exists.
        status = 404 if message.startswith("invalid model reference") else STATUS.get(state, 400 if state.startswith("22") else 500)
        if status == 500:
            return JSONResponse({"error": "the database failed", "sqlstate": state}, 500)
        told = {"error": message, "sqlstate": state}
        if problem.diag.message_detail and status != 403:
            told["detail"] = problem.diag.message_detail
        if problem.diag.message_hint and status == 400:
            told["hint"] = problem.diag.message_hint
        return JSONResponse(told, status)
    raise problem
