"""What BentoML's clients ask a service before they call it: which methods there are, and what they take."""

from __future__ import annotations

from typing import Any

#: A row by name or by position, or several.
ANY: dict[str, Any] = {"anyOf": [{"type": "object"}, {"type": "array"}]}


def schema() -> dict[str, Any]:
    """The methods `predict` and `predict_batch`, in the form of BentoML's ``/schema.json``."""

    def route(name: str, about: str) -> dict[str, Any]:
        takes = {"type": "object", "properties": {"input_data": {**ANY, "title": "Input Data"}}, "required": ["input_data"], "title": "Input"}
        return {"name": name, "route": f"/{name}", "doc": about, "batchable": False, "input": takes, "output": {"type": "object"}}

    return {
        "name": "e2i_serve",
        "type": "service",
        "routes": [route("predict", "scores one row or several"), route("predict_batch", "scores a list of rows")],
    }
