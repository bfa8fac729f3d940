"""The description of the routes, for tools and for people."""

from __future__ import annotations

from typing import Any

JSON = "application/json"
ROW: dict[str, Any] = {"anyOf": [{"type": "object"}, {"type": "array"}]}
FEATURES = {"type": "object", "required": ["features"], "properties": {"features": ROW}}
PAYLOAD = {"anyOf": [FEATURES, {"type": "object", "required": ["input_data"], "properties": {"input_data": FEATURES}}]}
TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2},
        "datatype": {"enum": ["BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "BF16", "FP32", "FP64", "BYTES"]},
        "data": {"type": "array"},
    },
}
ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}, "hint": {"type": "string"}}}
ANSWER = {"type": "object", "required": ["predictions"], "properties": {"predictions": {"type": "array"}}}
MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
VERSION = {**MODEL, "name": "version"}
QUERY = {"name": "model", "in": "query", "required": False, "schema": {"type": "string", "minLength": 1}}


#: What anybody may ask.
OPEN = {"/ping", "/version", "/schema.json", "/livez", "/healthz", "/readyz", "/v2", "/v2/health/live", "/v2/health/ready"}


def document(version: str, needs_key: bool) -> dict[str, Any]:
    """OpenAPI 3.0 of the gateway, as it answers to requests with and without a key."""
    table = {"type": "object", "required": ["data"], "properties": {"columns": {"type": "array"}, "data": {"type": "array", "items": {"type": "array"}}}}
    records = {"type": "array", "items": {"type": "object"}}
    forms = {"dataframe_split": table, "dataframe_records": records, "instances": {"type": "array"}, "inputs": ROW}
    mlflow = {"oneOf": [{"type": "object", "required": [name], "properties": {name: form}} for name, form in forms.items()]}
    infer = {"type": "object", "required": ["inputs"], "properties": {"inputs": {"type": "array", "items": TENSOR, "minItems": 1}}}
    scored = {"type": "object", "required": ["outputs"]}
    paths: dict[str, Any] = {
        "/predict": {"post": _post("score one row or several with the model of the gateway, or ?model=", PAYLOAD, ANSWER, QUERY)},
        "/predict_batch": {"post": _post("score a list of rows", {"anyOf": [{"type": "array"}, PAYLOAD]}, ANSWER, QUERY)},
        "/{model}/predict": {"post": _post("score one row or several", PAYLOAD, ANSWER, MODEL)},
        "/{model}/predict_batch": {"post": _post("score a list of rows", {"anyOf": [{"type": "array"}, PAYLOAD]}, ANSWER, MODEL)},
        "/invocations": {"post": _post("MLflow's scoring protocol", mlflow, ANSWER, QUERY)},
        "/v2/models/{model}/infer": {"post": _post("Open Inference Protocol", infer, scored, MODEL)},
        "/v2/models/{model}/versions/{version}/infer": {"post": _post("Open Inference Protocol", infer, scored, MODEL, VERSION)},
    }
    for path, summary in {
        "/health": "health of the services",
        "/metrics": "Prometheus",
        "/ping": "MLflow's health check",
        "/version": "the version",
        "/schema.json": "what BentoML's clients ask first",
        "/livez": "the process answers",
        "/healthz": "the process answers",
        "/readyz": "the database answers",
        "/v2": "metadata of the server",
        "/v2/health/live": "the process answers",
        "/v2/health/ready": "the database answers",
        "/v2/models/{model}": "metadata of a model",
        "/v2/models/{model}/ready": "whether a model can be scored with",
        "/v2/models/{model}/versions/{version}": "metadata of a version",
        "/v2/models/{model}/versions/{version}/ready": "whether a version can be scored with",
    }.items():
        parameters = [p for p in (MODEL, VERSION) if "{" + str(p["name"]) + "}" in path]
        plain = path in ("/metrics", "/ping", "/version")
        content: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}} if plain else {JSON: {"schema": {"type": "object"}}}
        paths[path] = {"get": {"summary": summary, "parameters": parameters, "responses": {**_errors(), "200": {"description": "", "content": content}}}}
        if path in OPEN:
            paths[path]["get"]["security"] = []
    paths["/health"]["get"]["responses"]["503"] = {"description": "a service is unhealthy", "content": {JSON: {"schema": {"type": "object"}}}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "e2i_serve", "version": version, "description": "Models that PostgreSQL scores, over HTTP."},
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{"key": []}] if needs_key else [{"key": []}, {}],
        "paths": paths,
    }


def _post(summary: str, body: Any, answer: Any, *parameters: Any) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": list(parameters),
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": {"200": {"description": "scores", "content": {JSON: {"schema": answer}}}, **_errors()},
    }


def _errors() -> dict[str, Any]:
    told = {"content": {JSON: {"schema": ERROR}}}
    names = {"400": "the request is wrong", "401": "no key", "403": "no right", "404": "no such model", "405": "another method",
             "409": "the model cannot do this", "413": "too long", "503": "no database or no free connection", "504": "took too long"}  # fmt: skip
    return {status: {"description": name, **told} for status, name in names.items()}


def page(document: dict[str, Any]) -> str:
    """The description as a page that needs nothing from elsewhere."""
    rows = "".join(
        f"<tr><td><code>{method.upper()}</code></td><td><code>{path}</code></td><td>{about['summary']}</td></tr>"
        for path, methods in document["paths"].items()
        for method, about in methods.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>e2i_serve</title>'
        "<style>body{font:16px system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}td{padding:.3rem .8rem;border-top:1px solid #8884}"
        f'</style><h1>e2i_serve</h1><p><a href="openapi.json">openapi.json</a></p><table>{rows}</table></html>'
    )
