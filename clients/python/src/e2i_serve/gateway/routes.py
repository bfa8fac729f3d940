"""What each path does. A body that the server understands is handed to it as it came: nothing of it is parsed here."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from . import inference
from .errors import Refused, answer_to
from .sessions import Sessions
from .settings import Settings

SERVE = "SELECT {e2i}.e2i_serve(%s::text, %s::text::jsonb)::text"

Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """The handlers, with the connections that they use."""

    def __init__(self, settings: Settings, sessions: Sessions, version: str) -> None:
        self.settings, self.sessions, self.version = settings, sessions, version

    async def predict(self, request: Request) -> Response:
        """The contract of e2i_serve, as it came."""
        role, body = self._role(request), await self._body(request)
        answer = await self.sessions.value(role, SERVE, self._model(request), body)
        return Response(answer, media_type="application/json")

    async def predict_batch(self, request: Request) -> Response:
        """The same for a list of rows, which may stand alone."""
        role, payload = self._role(request), _parsed(await self._body(request))
        if isinstance(payload, list):
            payload = {"features": payload}
        elif isinstance(payload, dict) and isinstance(payload.get("input_data"), list):
            payload = {"features": payload["input_data"]}
        answer = await self.sessions.value(role, SERVE, self._model(request), json.dumps(payload))
        return Response(answer, media_type="application/json")

    async def invocations(self, request: Request) -> Response:
        """MLflow's scoring protocol: dataframe_split, dataframe_records, instances, inputs, as the server takes them."""
        role, body = self._role(request), await self._body(request)
        answer = json.loads(await self.sessions.value(role, SERVE, self._model(request), body))
        return JSONResponse({"predictions": answer["predictions"]})

    async def infer(self, request: Request) -> Response:
        """The Open Inference Protocol's inference."""
        role, body = self._role(request), await self._bytes(request)
        payload, text = inference.request_of(body, request.headers.get(inference.HEADER))
        answer = json.loads(await self.sessions.value(role, SERVE, _reference(request), _clean(text)))
        content, length = inference.response_to(payload, request.path_params["model"], answer)
        if length is None:
            return Response(content, media_type="application/json")
        return Response(content, media_type="application/octet-stream", headers={inference.HEADER: length})

    async def model_metadata(self, request: Request) -> Response:
        """The Open Inference Protocol's metadata of a model."""
        role, reference = self._role(request), _reference(request)
        name = request.path_params["model"]
        described = await self.sessions.value(
            role,
            "SELECT coalesce(json_agg(json_build_object('name', name, 'type', type) ORDER BY position), '[]')::text "
            "FROM {e2i}.e2i_describe_model(%s::text) WHERE kind = 'feature'",
            reference,
        )
        versions = await self.sessions.value(
            role, "SELECT coalesce(json_agg(model_version), '[]')::text FROM {e2i}.ml_model_registry WHERE model_name = %s::text", name
        )
        empty = await self.sessions.value(role, SERVE, reference, '{"features": []}')
        return JSONResponse(inference.metadata(name, json.loads(versions), json.loads(described), "probabilities" in json.loads(empty)))

    async def model_ready(self, request: Request) -> Response:
        """Whether a model can be scored with."""
        role = self._role(request)
        await self.sessions.value(role, "SELECT count(*) FROM {e2i}.e2i_describe_model(%s::text)", _reference(request))
        return JSONResponse({"name": request.path_params["model"], "ready": True})

    async def live(self, request: Request) -> Response:
        """The process answers."""
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """The database answers."""
        await self.sessions.value(None, "SELECT 1")
        return JSONResponse({"ready": True})

    async def server_metadata(self, request: Request) -> Response:
        """The Open Inference Protocol's metadata of a server."""
        return JSONResponse({"name": "e2i_serve", "version": self.version, "extensions": ["binary_tensor_data"]})

    async def health(self, request: Request) -> Response:
        """The health of each service that the role may see; 503 where one is unhealthy."""
        told = await self.sessions.value(
            self._role(request),
            "SELECT coalesce(json_agg(json_build_object('service', service, 'version', version, 'status', status, 'reason', reason)), '[]')"
            "::text FROM {e2i}.e2i_health()",
        )
        services = json.loads(told)
        status = "unhealthy" if any(s["status"] == "unhealthy" for s in services) else "healthy"
        return JSONResponse({"status": status, "services": services}, 503 if status == "unhealthy" else 200)

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text, as the extension writes it."""
        text = await self.sessions.value(self._role(request), "SELECT {e2i}.e2i_prometheus_metrics()")
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def ping(self, request: Request) -> Response:
        """MLflow's health check."""
        await self.sessions.value(None, "SELECT 1")
        return PlainTextResponse("\n")

    async def mlflow_version(self, request: Request) -> Response:
        """MLflow's question for the version of what serves."""
        return PlainTextResponse(self.version)

    def guarded(self, handler: Handler) -> Handler:
        """The handler, with errors as answers."""

        async def guarded(request: Request) -> Response:
            try:
                return await handler(request)
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception as problem:
                return answer_to(problem)

        guarded.__name__ = handler.__name__
        return guarded

    def _role(self, request: Request) -> str | None:
        """The role of the request's key: ``Authorization: Bearer …`` or ``X-API-Key``."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        key = token if scheme.lower() == "bearer" else request.headers.get("x-api-key")
        role = self.settings.role_of(key)
        if role is None:
            raise Refused(401, "an API key is needed: Authorization: Bearer …" if key is None else "the API key is unknown")
        return role

    def _model(self, request: Request) -> str:
        model = request.path_params.get("model") or request.query_params.get("model", self.settings.model)
        if not model:
            raise Refused(400, "say which model: ?model=churn, or /churn/predict")
        return _clean(str(model))

    async def _bytes(self, request: Request) -> bytes:
        """The body, no longer than is allowed, whatever its length says."""
        limit = self.settings.max_body
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise Refused(413, f"the body is longer than {limit} bytes")
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise Refused(413, f"the body is longer than {limit} bytes")
            parts.append(part)
        return b"".join(parts)

    async def _body(self, request: Request) -> str:
        try:
            return _clean((await self._bytes(request)).decode())
        except UnicodeDecodeError:
            raise Refused(400, "the body is not UTF-8") from None


def _clean(text: str) -> str:
    """Texts of PostgreSQL hold no NUL."""
    if "\0" in text:
        raise Refused(400, "a NUL character is in the request")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(400, "the request holds half of a character") from None
    return text


def _reference(request: Request) -> str:
    model, version = request.path_params["model"], request.path_params.get("version")
    return _clean(f"{model}:{version}" if version else str(model))


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _parsed(body: str) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
