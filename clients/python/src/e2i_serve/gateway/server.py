"""The application, and the process that serves it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from . import bento, openapi
from .routes import Routes
from .sessions import Sessions
from .settings import Settings, read_keys

#: How `serve` hands its settings to the processes that it starts.
ENVIRONMENT = "E2I_SERVE_GATEWAY"


def application(settings: Settings) -> Starlette:
    """The gateway as an ASGI application."""
    from .. import __version__

    sessions = Sessions(settings)
    routes = Routes(settings, sessions, __version__)
    document = openapi.document(__version__, settings.anonymous_role is None)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await sessions.open()
        try:
            yield
        finally:
            await sessions.close()

    async def describe(_: Request) -> Response:
        return JSONResponse(document)

    async def methods(_: Request) -> Response:
        return JSONResponse(bento.schema())

    async def page(_: Request) -> Response:
        return HTMLResponse(openapi.page(document))

    async def other(_: Request, problem: Exception) -> Response:
        status = getattr(problem, "status_code", 500)
        return JSONResponse({"error": {404: "there is no such path", 405: "another method"}.get(status, "failed")}, status, getattr(problem, "headers", None))

    posts = {
        "/predict": routes.predict,
        "/predict_batch": routes.predict_batch,
        "/invocations": routes.invocations,
        "/v2/models/{model}/infer": routes.infer,
        "/v2/models/{model}/versions/{version}/infer": routes.infer,
        "/{model}/predict": routes.predict,
        "/{model}/predict_batch": routes.predict_batch,
    }
    gets = {
        "/health": routes.health,
        "/metrics": routes.metrics,
        "/ping": routes.ping,
        "/livez": routes.live,
        "/readyz": routes.ready,
        "/healthz": routes.live,
        "/version": routes.mlflow_version,
        "/v2": routes.server_metadata,
        "/v2/health/live": routes.live,
        "/v2/health/ready": routes.ready,
        "/v2/models/{model}": routes.model_metadata,
        "/v2/models/{model}/ready": routes.model_ready,
        "/v2/models/{model}/versions/{version}": routes.model_metadata,
        "/v2/models/{model}/versions/{version}/ready": routes.model_ready,
    }
    table: list[Any] = [Route(path, routes.guarded(handler), methods=["POST"]) for path, handler in posts.items()]
    table += [Route(path, routes.guarded(handler), methods=["GET"]) for path, handler in gets.items()]
    table += [Route("/openapi.json", describe), Route("/schema.json", methods), Route("/docs", page)]
    return Starlette(routes=table, lifespan=lifespan, exception_handlers={404: other, 405: other})


def from_environment() -> Starlette:
    """What a process of `serve` runs."""
    import json

    told = json.loads(os.environ[ENVIRONMENT])
    keys = told.pop("keys_file")
    return application(Settings(**told, keys=read_keys(Path(keys) if keys else None)))


def serve(settings: Settings, keys_file: Path | None, host: str, port: int, workers: int) -> None:
    """Serves until it is told to stop: then no request is taken, and those under way have `grace` seconds."""
    import dataclasses
    import json

    import uvicorn

    told = dataclasses.asdict(settings)
    told.pop("keys")
    os.environ[ENVIRONMENT] = json.dumps({**told, "keys_file": str(keys_file) if keys_file else None})
    uvicorn.run(
        "e2i_serve.gateway.server:from_environment", factory=True, host=host, port=port, workers=workers, access_log=False,
        log_level="warning", timeout_graceful_shutdown=int(settings.grace), server_header=False, ws="none",
        proxy_headers=False,
    )  # fmt: skip
