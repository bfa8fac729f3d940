"""What is pushed, and what is known of it. Knows no library and no server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Source:
    """A model as it was found: the fitted object, a file's bytes, or both, with what its registry says of it."""

    kind: str
    """The library: ``sklearn``, ``xgboost``, ``lightgbm``, ``catboost``, ``onnx`` or ``other``."""
    model: Any = None
    """The fitted object. None where no library here reads the file."""
    artifact: bytes | None = None
    """The file, where it can be registered as it is."""
    signature: Mapping[str, Any] | None = None
    """In MLflow's form."""
    example: Any = None
    """Rows that the model was logged with, a data frame or an array."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    algorithm: str | None = None
    run_id: str | None = None
    uri: str | None = None
    version: str | None = None
    """The registry's own number of the version."""
    trained_at: datetime | None = None

    def with_(self, **changes: Any) -> Source:
        """A copy in which those members that are not None are others."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


def kind_of(model: Any) -> str:
    """The library that a fitted object is of, by the modules of its class and its bases."""
    for base in type(model).__mro__:
        library = base.__module__.split(".")[0]
        if library in ("xgboost", "lightgbm", "catboost"):
            return library
        if library in ("sklearn", "imblearn"):
            return "sklearn"
        if library == "onnx":
            return "onnx"
    return "other"
