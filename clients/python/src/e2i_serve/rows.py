"""Rows that a model is tried with: of a sample, of what it was logged with, or made up. Rows are data frames of pandas."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import E2iError, NotInstalled
from .source import Source

Frame = Any
"""A data frame of pandas; typed so because pandas is optional."""


def pandas() -> Any:
    """The module, or an error that says how to get it."""
    try:
        import pandas
    except ImportError:
        raise NotInstalled("pandas", "push") from None
    return pandas


def read_rows(path: str | Path) -> Frame:
    """A file of rows: .parquet, .csv, .jsonl, or .json as a list of objects."""
    pd, path = pandas(), Path(path)
    if not path.exists():
        raise E2iError(f"there is no file {path}")
    ending = path.suffix.lower()
    if ending == ".parquet":
        return pd.read_parquet(path)
    if ending == ".csv":
        return pd.read_csv(path)
    if ending in (".jsonl", ".ndjson", ".json"):
        return pd.read_json(path, lines=ending != ".json")
    raise E2iError(f"{path.name} is none of .parquet, .csv, .jsonl, .json")


def golden_rows(source: Source, sample: Any, limit: int) -> tuple[Frame, str]:
    """Rows to compare, and where they come from: the sample, else what the model was logged with, else made-up ones.

    Of more rows than the limit, so many are taken at even distances. Columns that the model does not read are left out.
    """
    for rows, origin in ((sample, "sample"), (source.example, "input example")):
        if rows is not None:
            frame = as_frame(rows, source)
            if len(frame) > limit:
                frame = frame.iloc[[i * len(frame) // limit for i in range(limit)]]
            return frame.reset_index(drop=True), origin
    return _made_up(source, min(limit, 50)), "made up"


def as_frame(rows: Any, source: Source) -> Frame:
    """Rows as a data frame; an array's columns are called as the model's features are, else 0, 1, …."""
    pd = pandas()
    if isinstance(rows, (str, Path)):
        rows = read_rows(rows)
    names = feature_names(source)
    if not isinstance(rows, pd.DataFrame):
        if isinstance(rows, dict):
            rows = [rows]
        rows = pd.DataFrame(rows)
        if names and len(names) == rows.shape[1] and list(rows.columns) == list(range(rows.shape[1])):
            rows.columns = names
    if names and set(names) <= set(rows.columns):
        rows = rows[names]
    return rows


def feature_names(source: Source) -> list[str] | None:
    """The names of a model's features, where it has any."""
    model = source.model
    if source.kind == "xgboost":
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        return list(booster.feature_names) if booster.feature_names else None
    if source.kind == "lightgbm":
        booster = getattr(model, "booster_", model)
        return list(booster.feature_name())
    if source.kind == "catboost":
        return list(model.feature_names_)
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    inputs = (source.signature or {}).get("inputs") or []
    named = [column["name"] for column in inputs if column.get("name")]
    return named if named and len(named) == len(inputs) and not any(c.get("type") == "tensor" for c in inputs) else None


def records(frame: Frame, by_position: bool) -> list[Any]:
    """Rows as features: objects, or arrays where the model goes by position. What is missing is None."""
    columns = [[plain(value) for value in frame.iloc[:, i].tolist()] for i in range(frame.shape[1])]
    names = [str(name) for name in frame.columns]
    if by_position:
        return [list(row) for row in zip(*columns)]
    return [dict(zip(names, row)) for row in zip(*columns)]


def plain(value: Any) -> Any:
    """A cell as JSON has it: numbers keep all bits, points in time are ISO text, NaN, NaT and NA are None."""
    if value is None:
        return None
    if hasattr(value, "isoformat"):
        text = value.isoformat()
        return None if text == "NaT" else text
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            raise E2iError("a golden row has an infinity, which JSON cannot say; leave that row out of the sample")
    if type(value).__name__ == "NAType":
        return None
    return value


def _made_up(source: Source, count: int) -> Frame:
    """Rows with numbers around those that the model splits or scales by, and categories that it has learned; always the same ones."""
    import numpy as np

    pd = pandas()
    random = np.random.default_rng(20260131)
    inputs = (source.signature or {}).get("inputs") or []
    names = feature_names(source)
    width = len(names) if names else _width(source, inputs)
    if not width:
        raise E2iError("nothing says which features the model has: give rows with --sample FILE")
    types = {column["name"]: column["type"] for column in inputs if column.get("name") and column.get("type") != "tensor"}
    known = _known_values(source)
    columns: dict[Any, Any] = {}
    for position in range(width):
        name: Any = names[position] if names else position
        kind, values = types.get(name, "double"), known.get(position, known.get(name))
        if values is not None and len(values) and isinstance(values[0], str):
            columns[name] = random.choice(values, count)
        elif kind == "string":
            raise E2iError(f'nothing says which texts the feature "{name}" takes: give rows with --sample FILE')
        elif kind == "boolean":
            columns[name] = random.integers(0, 2, count).astype(bool)
        elif kind == "datetime":
            columns[name] = pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 10**7, count), unit="s")
        elif values is not None and len(values):
            # On both sides of what it splits by, and not so near that float32 and float64 part ways.
            chosen = np.asarray(random.choice(np.asarray(values, dtype=float), count))
            columns[name] = chosen + random.choice([-1.0, 1.0], count) * (0.01 + 0.05 * np.abs(chosen))
        else:
            columns[name] = np.round(random.normal(0, 10 ** random.uniform(0, 2, count)), 3)
        if kind in ("long", "integer"):
            columns[name] = np.round(np.asarray(columns[name], dtype=float)).astype("int64")
    return pd.DataFrame(columns)


def _width(source: Source, inputs: list[Mapping[str, Any]]) -> int:
    model = source.model
    if source.kind == "xgboost" and hasattr(model, "num_features"):
        return int(model.num_features())
    if getattr(model, "n_features_in_", None):
        return int(model.n_features_in_)
    if len(inputs) == 1 and inputs[0].get("type") == "tensor":
        shape = inputs[0]["tensor-spec"]["shape"]
        return int(shape[1]) if len(shape) == 2 and shape[1] > 0 else 0
    return len(inputs)




def _known_values(source: Source) -> dict[Any, Any]:
    """Values a feature is split, scaled or encoded by, by its name or position, as far as the model tells."""
    known: dict[Any, Any] = {}
    model = source.model
    try:
        if source.kind in ("xgboost", "lightgbm"):
            booster = model.get_booster() if hasattr(model, "get_booster") else getattr(model, "booster_", model)
            table = booster.trees_to_dataframe()
            feature, value = ("Feature", "Split") if source.kind == "xgboost" else ("split_feature", "threshold")
            pd = pandas()
            table = table[[feature, value]].assign(**{value: pd.to_numeric(table[value], errors="coerce")}).dropna()
            known = {name: group[value].to_numpy() for name, group in table.groupby(feature)}
        elif source.kind == "sklearn":
            _walk(model, None, known)
    except (AttributeError, ValueError, KeyError, TypeError, ImportError):
        return known
    return known


def _walk(step: Any, columns: Any, known: dict[Any, Any]) -> None:
    """What the steps of a scikit-learn pipeline that see the raw columns have learned of them."""
    if hasattr(step, "steps"):
        for _, inner in step.steps:
            if inner not in (None, "passthrough"):
                _walk(inner, columns, known)
                if not hasattr(inner, "statistics_"):  # behind anything but an imputer, columns are others
                    return
    elif hasattr(step, "transformers_"):
        for _, inner, selected in step.transformers_:
            if not isinstance(inner, str) and not isinstance(selected, (str, slice)):
                _walk(inner, list(selected), known)
    elif hasattr(step, "categories_"):
        for position, values in enumerate(step.categories_):
            known[_column(columns, position)] = [v for v in values.tolist() if v is not None and v == v]
    elif hasattr(step, "mean_") and hasattr(step, "scale_") and getattr(step.mean_, "ndim", 0) == 1:
        for position, (mean, scale) in enumerate(zip(step.mean_, step.scale_)):
            known.setdefault(_column(columns, position), [float(mean + i * scale) for i in (-2, -1, -0.3, 0.2, 0.9, 2)])
    elif hasattr(step, "tree_") or hasattr(step, "estimators_"):
        inner = getattr(step, "estimators_", [step])
        for tree in inner.ravel().tolist() if hasattr(inner, "ravel") else list(inner):
            if hasattr(tree, "tree_"):
                for position, value in zip(tree.tree_.feature.tolist(), tree.tree_.threshold.tolist()):
                    if position >= 0:
                        known.setdefault(_column(columns, position), []).append(value)


def _column(columns: Any, position: int) -> Any:
    return columns[position] if columns is not None else position
