"""A model into a database, proved on the way: the one function `push`."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from . import expected as library
from .database import Connection, Database, open_database
from .errors import E2iError, Refused
from .files import load_file
from .forms import Form, forms_of
from .parity import Parity, parity
from .rows import feature_names, golden_rows, records
from .source import Source, kind_of


@dataclass(frozen=True)
class Pushed:
    """What became of a push."""

    reference: str
    """``name:version``."""
    parity: Parity
    action: str
    """``registered``, ``unchanged`` (these bytes were registered before), or ``dry run``."""
    form: str
    differs: list[str] = field(default_factory=list)
    """Of an ``unchanged`` version, what was given and stands otherwise in the registry."""


class _DryRun(Exception):
    """Ends the transaction of a dry run."""


def push(
    model: Any,
    name: str,
    to: str | Connection,
    *,
    version: str | None = None,
    alias: str | None = None,
    deploy: bool = False,
    sample: Any = None,
    signature: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    tolerance: float = 1e-5,
    rows: int = 100,
    dry_run: bool = False,
    allow_pickle: bool = False,
    trust: tuple[str, ...] = (),
    on_step: Callable[[str], None] = lambda step: None,
) -> Pushed:
    """Registers a model under ``name``, if the server scores its golden rows as the training library does.

    :param model: a fitted estimator or booster; the path of a file; ``models:/name/version``, ``models:/name@alias``, ``runs:/id/path``.
    :param to: a connection string or a psycopg connection. Everything happens in one transaction.
    :param version: the version's name; for MLflow's models the registry's number, else the next number.
    :param alias: set to the version. An alias moves.
    :param deploy: makes the version the one that the bare name means. The first version of a name is so without it.
    :param sample: rows to compare: a data frame, an array, or a file (.parquet, .csv, .jsonl).
    :param tolerance: how far an output may be from the library's, relative to it or to 1 if that is larger.
    :param rows: the largest number of golden rows, which are stored with the version.
    :param dry_run: does everything and rolls back.
    :param allow_pickle: whether a pickle or joblib file is opened here, which executes what is in it.
    :param trust: further types that a .skops file may contain.
    :param on_step: called with what is done next.
    :raises Refused: no form of the model scores as the library does; nothing is changed.
    """
    on_step("reading the model")
    source = find(model, trust=trust, allow_pickle=allow_pickle)
    source = source.with_(signature=signature, metrics=metrics, tags=tags, description=description, version=version)
    on_step("golden rows")
    frame, origin = golden_rows(source, sample, rows)
    by_position = feature_names(source) is None and [str(c) for c in frame.columns] == [str(i) for i in range(frame.shape[1])]
    try:
        outputs = library.expected(source, frame, by_position)
    except E2iError:
        raise
    except Exception as problem:
        advice = "give rows that the model takes with --sample FILE" if origin == "made up" else f"are the rows of the {origin} the model's?"
        raise E2iError(f"the training library does not score the rows ({origin}): {problem}; {advice}") from problem
    examples = [{"features": f, **o} for f, o in zip(records(frame, by_position), outputs)]
    with open_database(to) as database:
        try:
            with database.connection.transaction():
                attempt = _Attempt(database, name, source, examples, origin, tolerance, deploy, on_step)
                pushed = attempt.first_that_passes(forms_of(source, frame, by_position))
                own_version = pushed.reference.partition(":")[2]
                if alias is not None:
                    pushed.differs.extend(_moved(database, name, alias, own_version))
                    database.value("SELECT {e2i}.e2i_set_alias(%s, %s, %s)", (name, alias, own_version))
                if deploy and pushed.action == "unchanged":
                    pushed.differs.extend(_deploy_unless_active(database, name, pushed.reference))
                if dry_run:
                    raise _DryRun
        except _DryRun:
            return replace(pushed, action="dry run")
    return pushed


def _moved(database: Database, name: str, alias: str, version: str) -> list[str]:
    """What an alias meant, where that was another version."""
    before = database.value("SELECT model_version FROM {e2i}.ml_model_aliases WHERE (model_name, alias) = (%s, %s)", (name, alias))
    return [f"alias {alias}: moved from {name}:{before}"] if before not in (None, version) else []


def _deploy_unless_active(database: Database, name: str, reference: str) -> list[str]:
    active = database.value("SELECT version FROM {e2i}.e2i_services WHERE service = %s", (name,))
    if active == reference:
        return []
    database.value("SELECT version FROM {e2i}.e2i_deploy(%s)", (reference,))
    return [f"deployed: in place of {active or 'nothing'}"]


def find(model: Any, *, trust: tuple[str, ...] = (), allow_pickle: bool = False) -> Source:
    """What `push` makes of its first argument."""
    if isinstance(model, Source):
        return model
    if isinstance(model, str) and model.startswith(("models:/", "runs:/")):
        from .mlflow_models import fetch

        return fetch(model, trust=trust, allow_pickle=allow_pickle)
    if isinstance(model, (str, Path)):
        return load_file(Path(model), trust=trust, allow_pickle=allow_pickle)
    kind = kind_of(model)
    if kind == "onnx":
        return Source("onnx", artifact=model.SerializeToString())
    return Source(kind, model, algorithm=_algorithm(model))


def _algorithm(model: Any) -> str:
    steps = getattr(model, "steps", None)
    return type(steps[-1][1] if steps else model).__name__


class _Attempt:
    """One registration, tried with each form in a savepoint."""

    def __init__(
        self,
        database: Database,
        name: str,
        source: Source,
        examples: list[dict[str, Any]],
        origin: str,
        tolerance: float,
        deploy: bool,
        on_step: Callable[[str], None],
    ) -> None:
        self.database, self.name, self.source, self.examples, self.origin = database, name, source, examples, origin
        self.tolerance, self.deploy, self.on_step = tolerance, deploy, on_step
        self.tried: list[tuple[str, str]] = []

    def first_that_passes(self, forms: Any) -> Pushed:
        last: Parity | None = None
        for form in forms:
            if form.problem is not None:
                self.tried.append((form.name, form.problem))
                continue
            known = self.registered_before(form)
            self.on_step(form.name)
            for signature in [self.source.signature, None] if self.source.signature else [None]:
                try:
                    if known is not None:
                        return self.again(form, signature, known)
                    reference = self.register(form, signature, self.tolerance)
                except psycopg.Error as problem:
                    if not _is_the_models(problem):
                        raise
                    last = self.worst(form, signature) or last
                    self.tried.append((form.name + (" with its signature" if signature else ""), _message(problem)))
                else:
                    return Pushed(reference, self.compared(reference, form.name), "registered", form.name)
        lines = [f"tried {form}: {why}" for form, why in self.tried]
        if last is not None:
            lines += [line for line in last.lines() if not line.startswith("tried")]
        raise Refused("no form of the model scores as the training library does; nothing is registered\n" + "\n".join(lines))

    def registered_before(self, form: Form) -> str | None:
        """The newest version with these bytes, or the one that is asked for."""
        found: str | None = self.database.value(
            "SELECT model_name || ':' || model_version FROM {e2i}.ml_model_registry "
            "WHERE model_name = %s AND artifact_sha256 = %s AND (%s::text IS NULL OR model_version = %s) ORDER BY registered_at DESC LIMIT 1",
            (self.name, hashlib.sha256(form.artifact).digest(), self.source.version, self.source.version),
        )
        return found

    def again(self, form: Form, signature: Mapping[str, Any] | None, known: str) -> Pushed:
        """Registers the same bytes beside, with all that is given now, compares the two entries, and takes that back.

        So the rows that are given now are scored, too, and the server writes both signatures in one way.
        """
        with self.database.connection.transaction() as savepoint:
            beside = self.register(form, signature, self.tolerance, version=f"push-{uuid.uuid4().hex}", deploy=False)
            verified = self.compared(beside, form.name)
            stored = "SELECT * FROM {e2i}.ml_model_registry WHERE model_name || ':' || model_version = %s"
            old, new = (self.database.rows(stored, (reference,))[0] for reference in (known, beside))
            raise psycopg.Rollback(savepoint)
        return Pushed(known, verified, "unchanged", form.name, differences(old, new, self.source, self.origin))

    def register(
        self, form: Form, signature: Mapping[str, Any] | None, tolerance: float, version: str | None = None, deploy: bool | None = None
    ) -> str:
        source = self.source
        with self.database.connection.transaction():
            reference: str = self.database.value(
                "SELECT {e2i}.e2i_register_model(%(name)s::text, %(artifact)b::bytea, version => %(version)s::text, "
                "feature_names => %(feature_names)s::text[], class_labels => %(class_labels)s::text[], signature => %(signature)s::jsonb, "
                "metrics => %(metrics)s::jsonb, tags => %(tags)s::jsonb, description => %(description)s::text, "
                "deploy => %(deploy)s::boolean, examples => %(examples)s::jsonb, tolerance => %(tolerance)s::float8, "
                "algorithm => %(algorithm)s::text, mlflow_run_id => %(run_id)s::text, mlflow_model_uri => %(uri)s::text, "
                "trained_at => %(trained_at)s::timestamptz)",
                {
                    "name": self.name,
                    "artifact": form.artifact,
                    "version": version or source.version,
                    "feature_names": form.feature_names,
                    "class_labels": form.class_labels,
                    "signature": Jsonb(signature) if signature else None,
                    "metrics": Jsonb(dict(source.metrics)) if source.metrics else None,
                    "tags": Jsonb(dict(source.tags)) if source.tags else None,
                    "description": source.description,
                    "deploy": deploy if deploy is not None else True if self.deploy else None,
                    "examples": Jsonb(self.examples),
                    "tolerance": tolerance,
                    "algorithm": source.algorithm,
                    "run_id": source.run_id,
                    "uri": source.uri,
                    "trained_at": source.trained_at,
                },
            )
        return reference

    def compared(self, reference: str, form: str) -> Parity:
        return parity(
            self.database.rows("SELECT * FROM {e2i}.e2i_verify_model(%s)", (reference,)), self.tolerance, form, self.origin, self.tried
        )

    def worst(self, form: Form, signature: Mapping[str, Any] | None) -> Parity | None:
        """The same registration with any tolerance, looked at and taken back: the server names one row, the report shows the worst."""
        try:
            with self.database.connection.transaction() as savepoint:
                reference = self.register(form, signature, 1e300, version=f"push-{uuid.uuid4().hex}", deploy=False)
                verified = self.database.rows("SELECT * FROM {e2i}.e2i_verify_model(%s)", (reference,))
                for row in verified:
                    scale = max(1.0, _largest(row["expected"]))
                    row["ok"] = row["ok"] and (row["difference"] is None or row["difference"] <= self.tolerance * scale)
                raise psycopg.Rollback(savepoint)
        except psycopg.Error:
            return None
        return parity(verified, self.tolerance, form.name, self.origin, [])


def differences(old: Mapping[str, Any], new: Mapping[str, Any], source: Source, origin: str) -> list[str]:
    """What stands otherwise in the registry's entry of the same bytes; of what was not given, nothing is said."""
    told = []
    for name, title, given in (
        ("signature", "signature", source.signature),
        ("class_labels", "classes", True),
        ("tolerance", "tolerance", True),
        ("description", "description", source.description),
        ("mlflow_run_id", "run", source.run_id),
        ("mlflow_model_uri", "MLflow's model", source.uri),
    ):
        if given and old[name] != new[name]:
            told.append(f"{title}: {_short(old[name])} is registered, {_short(new[name])} was given")
    if origin != "made up" and old["examples"] != new["examples"]:
        told.append(f"golden rows: {len(old['examples'] or [])} are registered, {len(new['examples'] or [])} others were given, and compared now")
    for name in ("metrics", "tags"):
        changed = {key: value for key, value in new[name].items() if old[name].get(key) != value}
        if changed:
            told.append(f"{name}: {_short(changed)} was given; e2i_annotate_model changes them")
    return told


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _largest(expected: str) -> float:
    """The largest number in a text like ``0.5`` or ``{1,2}``; 0 where it is a label."""
    try:
        return max(abs(float(part)) for part in expected.strip("{}").split(","))
    except ValueError:
        return 0.0


def _is_the_models(problem: psycopg.Error) -> bool:
    """Whether another form or no signature may do better: what the model or its bytes are, not rights, names, or the connection."""
    state = problem.sqlstate or ""
    if (problem.diag.message_primary or "").startswith("invalid model "):  # its name or version
        return False
    return state not in ("42710", "42501", "42883", "57014") and state[:2] in ("22", "42", "0A", "54", "55", "58", "P0", "XX", "38", "39")


def _message(problem: psycopg.Error) -> str:
    text = problem.diag.message_primary or str(problem)
    return text + (f" ({problem.diag.message_detail.splitlines()[0]})" if problem.diag.message_detail else "")
