"""What is registered, for people to read: lists, descriptions, proofs."""

from __future__ import annotations

from typing import Any

from .database import Connection, open_database
from .parity import Parity, parity


def models(connection: str | Connection) -> list[dict[str, Any]]:
    """Every version that the role may see: model, version, aliases, stage, deployed_as, task, engine, size."""
    with open_database(connection) as database:
        return database.rows(
            "SELECT model, version, aliases, stage, deployed_as, task, engine, size FROM {e2i}.e2i_models ORDER BY model, age DESC, version"
        )


def describe(model: str, connection: str | Connection) -> list[dict[str, Any]]:
    """The features and outputs of a model: kind, name, type, required, takes_null, default."""
    with open_database(connection) as database:
        return database.rows(
            'SELECT kind, name, type, required, takes_null, "default" FROM {e2i}.e2i_describe_model(%s) '
            "WHERE kind IN ('feature', 'output') ORDER BY kind, position",
            (model,),
        )


def verify(model: str, connection: str | Connection) -> Parity:
    """Scores the golden rows of a version again, by the tolerance that it was registered with."""
    with open_database(connection) as database:
        verified = database.rows("SELECT * FROM {e2i}.e2i_verify_model(%s)", (model,))
        reference = database.value("SELECT {e2i}.e2i_serve(%s, '{{\"features\": []}}'::jsonb) ->> 'model_id'", (model,))
        tolerance = database.value(
            "SELECT tolerance FROM {e2i}.ml_model_registry WHERE model_name || ':' || model_version = %s", (reference,)
        )
        return parity(verified, float(tolerance if tolerance is not None else 1e-4), reference, "golden rows", [])
