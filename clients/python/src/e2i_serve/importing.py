"""All of MLflow's registry at once: versions in their order, then aliases and stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from .database import Connection, open_database
from .errors import E2iError
from .mlflow_models import client
from .push import push

#: Stages of MLflow, and what they are called here.
STAGES = {"staging": "staging", "production": "production", "archived": "archived"}


@dataclass(frozen=True)
class Imported:
    """One version: what became of it, or why nothing did."""

    uri: str
    reference: str | None
    action: str


def import_mlflow(
    to: str | Connection,
    *,
    names: tuple[str, ...] = (),
    allow_pickle: bool = False,
    trust: tuple[str, ...] = (),
    on_step: Callable[[str], None] = lambda step: None,
) -> list[Imported]:
    """Pushes every version of every model, or of those named, and sets aliases and stages.

    A version that cannot be pushed is told in the result, and the others go on. Doing it again changes nothing that is there.
    A stage is the label only: its gates are not asked, because what happened in MLflow has happened.
    """
    tracking = client()
    done: list[Imported] = []
    models = list(_all(tracking.search_registered_models))
    missing = sorted(set(names) - {model.name for model in models})
    if missing:
        raise E2iError(f"MLflow's registry has no model {', '.join(missing)}")
    with open_database(to) as database:
        for model in models:
            if names and model.name not in names:
                continue
            versions = sorted(_all(tracking.search_model_versions, f"name='{model.name}'"), key=lambda v: int(v.version))
            for version in versions:
                uri = f"models:/{model.name}/{version.version}"
                on_step(uri)
                try:
                    pushed = push(uri, model.name, database.connection, allow_pickle=allow_pickle, trust=trust)
                    stage = STAGES.get((version.current_stage or "").lower())
                    if stage is not None:
                        with database.connection.transaction():
                            database.value(
                                "SELECT {e2i}.e2i_transition_stage(%s, %s, %s, approver => 'mlflow', reason => %s, overrule => true) "
                                "WHERE (SELECT stage FROM {e2i}.ml_model_registry WHERE (model_name, model_version) = (%s, %s)) <> %s",
                                (model.name, str(version.version), stage, f"as in {uri}", model.name, str(version.version), stage),
                            )
                    done.append(Imported(uri, pushed.reference, pushed.action))
                except (E2iError, psycopg.Error) as problem:
                    done.append(Imported(uri, None, str(problem)))
            for alias, number in dict(model.aliases).items():
                if any(i.reference == f"{model.name}:{number}" for i in done):
                    database.value("SELECT {e2i}.e2i_set_alias(%s, %s, %s)", (model.name, alias, str(number)))
    return done


def _all(search: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """Every page of what MLflow finds."""
    token = None
    while True:
        page = search(*arguments, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
