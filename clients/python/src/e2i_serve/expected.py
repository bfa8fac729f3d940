"""What the training library itself says of rows, as golden rows have it. The only place that calls `predict`."""

from __future__ import annotations

from typing import Any

from .errors import E2iError, NotInstalled
from .rows import Frame
from .source import Source

Outputs = list[dict[str, Any]]
"""One dict a row with some of ``prediction``, ``label``, ``probabilities``, ``vector``."""


def expected(source: Source, frame: Frame, by_position: bool) -> Outputs:
    """What the library answers, in float64 as it gives it."""
    rows = frame.to_numpy() if by_position else frame
    if source.kind == "onnx":
        return _onnx(source, frame)
    if source.kind == "xgboost" and not hasattr(source.model, "get_booster"):
        return _xgboost(source.model, frame, by_position)
    if source.kind == "lightgbm" and not hasattr(source.model, "booster_"):
        return _lightgbm(source.model, frame if by_position else _categories(frame))
    if source.kind in ("xgboost", "lightgbm") and not by_position:
        rows = _categories(frame)
    return _estimator(source.model, rows)


def _estimator(model: Any, rows: Any) -> Outputs:
    """An estimator as scikit-learn has them."""
    import numpy as np

    if hasattr(model, "predict_proba"):
        probabilities = model.predict_proba(rows)
        if isinstance(probabilities, list):  # several outputs, each with classes of its own
            return [{"vector": [float(p) for output in row for p in output]} for row in zip(*probabilities)]
        if hasattr(model, "classes_") and np.ndim(model.predict(rows[:1])) == 1:
            labels = _labels(np.asarray(model.predict(rows)).ravel())
            return [
                {"probabilities": _floats(p), **({"label": label} if label is not None else {})} for p, label in zip(probabilities, labels)
            ]
        return [{"vector": _floats(p)} for p in probabilities]
    if hasattr(model, "score_samples") and hasattr(model, "decision_function"):
        return [{"prediction": float(score)} for score in model.decision_function(rows)]
    if len(getattr(model, "classes_", ())):
        return [{"label": label} for label in _labels(np.asarray(model.predict(rows)))]
    if hasattr(model, "predict"):
        predictions = np.asarray(model.predict(rows))
        if hasattr(model, "cluster_centers_"):
            return [{"label": label} for label in _labels(predictions)]
        return _numbers(predictions)
    if hasattr(model, "transform"):
        vectors = model.transform(rows)
        return [{"vector": _floats(v)} for v in np.asarray(vectors.todense() if hasattr(vectors, "todense") else vectors)]
    raise E2iError(f"{type(model).__name__} has neither predict nor transform: is it fitted, and a model?")


def _xgboost(booster: Any, frame: Frame, by_position: bool) -> Outputs:
    import json

    import xgboost

    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    matrix = (
        xgboost.DMatrix(frame.to_numpy(dtype=float))
        if by_position
        else xgboost.DMatrix(_categories(frame), enable_categorical=True, feature_types=booster.feature_types)
    )
    values = booster.predict(matrix)
    if objective == "multi:softmax":
        return [{"label": str(int(value))} for value in values]
    return _boosted(values, binary=objective == "binary:logistic")


def _lightgbm(booster: Any, frame: Frame) -> Outputs:
    objective = booster.dump_model(num_iteration=1).get("objective", "").split(" ")[0]
    return _boosted(booster.predict(frame), binary=objective in ("binary", "cross_entropy"))


def _boosted(values: Any, binary: bool) -> Outputs:
    if binary:
        return [{"probabilities": [1.0 - float(p), float(p)]} for p in values]
    if values.ndim == 2:
        return [{"vector": _floats(row)} for row in values]
    return _numbers(values)


def _onnx(source: Source, frame: Frame) -> Outputs:
    """What ONNX Runtime answers here. There is no other library that could say what a graph means."""
    try:
        import numpy as np
        import onnxruntime
    except ImportError:
        raise NotInstalled("onnxruntime", "onnx") from None
    session = onnxruntime.InferenceSession(source.artifact, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    types = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32",
             "tensor(bool)": "bool", "tensor(string)": "object"}  # fmt: skip
    try:
        if len(inputs) == 1:
            feed = {inputs[0].name: frame.to_numpy(dtype=types[inputs[0].type])}
        else:
            feed = {
                i.name: frame[i.name].to_numpy(dtype=types[i.type]).reshape(-1, *([1] if len(i.shape) == 2 else [])) for i in inputs
            }
    except KeyError as missing:
        raise E2iError(f"the rows have no column for the graph's input {missing}; its inputs: {', '.join(i.name for i in inputs)}") from None
    outputs = session.run(None, feed)
    first = outputs[0]
    if len(outputs) == 2 and getattr(first, "dtype", None) in (np.dtype("int64"), np.dtype("O")):
        labels = _labels(np.asarray(first).ravel())
        given = outputs[1]
        if isinstance(given, list):
            given = np.asarray([list(row.values()) for row in given])
        if "probab" in session.get_outputs()[1].name.lower() and given.ndim == 2 and given.shape[1] > 1:
            return [{"label": label, "probabilities": _floats(p)} for label, p in zip(labels, given)]
        return [{"label": label} for label in labels]
    return _numbers(np.asarray(first).reshape(len(frame), -1))


def _numbers(values: Any) -> Outputs:
    if values.ndim == 2 and values.shape[1] > 1:
        return [{"vector": _floats(row)} for row in values]
    return [{"prediction": float(value)} for value in values.ravel()]


def _labels(values: Any) -> list[str | None]:
    """Labels as the server writes them; None where the two could spell one class differently."""
    plain = values.tolist()
    return [str(v) if isinstance(v, (str, int)) and not isinstance(v, bool) else None for v in plain]


def _floats(values: Any) -> list[float]:
    return [float(value) for value in values]


def _categories(frame: Frame) -> Frame:
    """Columns of texts as categories: boosters look the values up in those that they have learned."""
    texts = [name for name in frame.columns if frame[name].dtype == object or str(frame[name].dtype) in ("string", "str")]
    return frame.astype({name: "category" for name in texts})
