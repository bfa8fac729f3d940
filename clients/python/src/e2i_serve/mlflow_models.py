"""Models out of MLflow's registry and runs: the file, and all that MLflow knows of it. The only reader of MLflow's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .errors import E2iError, NotInstalled
from .files import load_file
from .source import Source, kind_of


def client() -> Any:
    """MLflow's client of the tracking server that the environment names (MLFLOW_TRACKING_URI)."""
    try:
        import mlflow
    except ImportError:
        raise NotInstalled("mlflow", "mlflow") from None
    return mlflow.MlflowClient()


def fetch(uri: str, *, trust: tuple[str, ...] = (), allow_pickle: bool = False) -> Source:
    """The model of ``models:/name/version``, ``models:/name@alias``, ``models:/name/Stage``, ``models:/name/latest`` or ``runs:/id/path``."""
    tracking = client()
    import mlflow

    try:
        version = _version(tracking, uri) if uri.startswith("models:/") else None
        folder = Path(mlflow.artifacts.download_artifacts(version.source if version is not None and _is_local(version.source) else uri))
        about = mlflow.models.Model.load(str(folder))
    except (mlflow.exceptions.MlflowException, OSError) as problem:
        raise E2iError(f"{uri}: {problem}") from problem
    source = _source(folder, about, trust, allow_pickle)
    source = source.with_(
        signature=_signature(about),
        example=_example(about, folder),
        run_id=(version.run_id if version is not None else about.run_id) or None,
        uri=f"models:/{version.name}/{version.version}" if version is not None else uri,
        version=str(version.version) if version is not None else None,
        description=version.description or None if version is not None else None,
    )
    return _with_run(tracking, source, dict(version.tags) if version is not None else {})


def _is_local(path: str) -> bool:
    return path.startswith(("/", "file:"))


def _version(tracking: Any, uri: str) -> Any:
    """The registry's entry that a reference means; one that MLflow alone knows (``models:/m-…``) is None."""
    name, at, alias = uri[len("models:/") :].partition("@")
    if at:
        return tracking.get_model_version_by_alias(name, alias)
    name, slash, version = uri[len("models:/") :].partition("/")
    if not slash:
        return None
    if version.isdigit():
        return tracking.get_model_version(name, version)
    found = sorted(tracking.search_model_versions(f"name='{name}'"), key=lambda v: int(v.version))
    if version.lower() != "latest":
        found = [v for v in found if (v.current_stage or "").lower() == version.lower()]
    if not found:
        raise E2iError(f"{uri}: MLflow has no such version")
    return found[-1]


def _source(folder: Path, about: Any, trust: tuple[str, ...], allow_pickle: bool) -> Source:
    """The flavour's own file, where there is one: what MLflow would load, without loading pickles unasked."""
    flavors: Mapping[str, Any] = about.flavors
    for flavor, key in (("xgboost", "data"), ("lightgbm", "data"), ("catboost", "data"), ("onnx", "data"), ("sklearn", "pickled_model")):
        if flavor not in flavors:
            continue
        path = folder / flavors[flavor][key]
        if path.suffix in (".xgb", ".json", ".ubj") and flavor == "xgboost":
            source = load_file(path, trust=trust) if path.suffix != ".xgb" else Source("xgboost", _booster(path), path.read_bytes())
        elif path.suffix not in (".skops", ".ubj", ".json", ".lgb", ".txt", ".cb", ".cbm", ".onnx", ".pkl", ".pickle", ".joblib"):
            raise E2iError(f"MLflow's {flavor} model is in {path.name}, which nothing here reads")
        else:
            source = load_file(path, trust=trust, allow_pickle=allow_pickle)
        model = source.model
        if model is not None and kind_of(model) != source.kind:
            # LightGBM's estimators are saved by skops: their own text is exact.
            source = Source(kind_of(model), model)
        return source.with_(algorithm=_algorithm(source, flavors[flavor]))
    raise E2iError(f"the model has the flavors {', '.join(flavors)}; these are read: sklearn, xgboost, lightgbm, catboost, onnx")


def _booster(path: Path) -> Any:
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(path)
    return booster


def _algorithm(source: Source, flavor: Mapping[str, Any]) -> str | None:
    if flavor.get("model_class"):
        return str(flavor["model_class"]).rpartition(".")[2]
    model = source.model
    steps = getattr(model, "steps", None)
    return None if model is None else type(steps[-1][1] if steps else model).__name__


def _signature(about: Any) -> dict[str, Any] | None:
    if about.signature is None:
        return None
    return {name: json.loads(text) if isinstance(text, str) else text for name, text in about.signature.to_dict().items()}


def _example(about: Any, folder: Path) -> Any:
    if not about.saved_input_example_info:
        return None
    try:
        return about.load_input_example(str(folder))
    except Exception:  # an example of a form that is no rows, say: others are made up
        return None


def _with_run(tracking: Any, source: Source, tags: dict[str, Any]) -> Source:
    """Metrics, params, tags and the time of the run that made it."""
    if not source.run_id:
        return source.with_(tags=tags)
    run = tracking.get_run(source.run_id)
    own = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
    if run.data.params:
        own["params"] = dict(run.data.params)
    ended = run.info.end_time or run.info.start_time
    return source.with_(
        metrics=dict(run.data.metrics),
        tags={**own, **tags},
        trained_at=datetime.fromtimestamp(ended / 1000, timezone.utc) if ended else None,
    )
