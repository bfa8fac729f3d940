"""The forms in which a model can be registered, the exact ones first. Converts; judges nothing: the server does."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .rows import Frame
from .source import Source


@dataclass(frozen=True)
class Form:
    """Bytes that are the model, or failed to become it."""

    name: str
    artifact: bytes = b""
    class_labels: list[str] | None = None
    feature_names: list[str] | None = None
    problem: str | None = None
    """Why there are no bytes."""


def forms_of(source: Source, frame: Frame, by_position: bool) -> Iterator[Form]:
    """Each form, made when it is asked for: nothing is converted that is not needed."""
    if source.kind == "xgboost":
        yield _xgboost(source)
    elif source.kind == "lightgbm":
        yield _lightgbm(source)
    elif source.kind == "catboost":
        yield from _catboost(source)
    elif source.kind == "onnx":
        yield Form("ONNX as it is", source.artifact or b"")
    else:
        yield _skops(source)
        yield from _converted(source, frame, by_position)


def _xgboost(source: Source) -> Form:
    model = source.model.get_booster() if hasattr(source.model, "get_booster") else source.model
    artifact = source.artifact if source.artifact is not None and source.model is model else bytes(model.save_raw("ubj"))
    return Form("XGBoost's own file", artifact)


def _lightgbm(source: Source) -> Form:
    model = getattr(source.model, "booster_", source.model)
    artifact = source.artifact if source.artifact is not None and source.model is model else model.model_to_string().encode()
    return Form("LightGBM's own file", artifact, class_labels=_names_of_classes(source.model))


def _names_of_classes(model: Any) -> list[str] | None:
    """What an estimator calls the classes that its file numbers from 0."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        return None
    names = [str(c) for c in classes.tolist()]
    return None if names == [str(i) for i in range(len(names))] else names


def _skops(source: Source) -> Form:
    if source.artifact is not None:
        return Form("skops as it is", source.artifact)
    try:
        import skops.io

        return Form("skops", _canonical(skops.io.dumps(source.model)))
    except Exception as problem:
        return Form("skops", problem=_first_line(problem))


def _canonical(dumped: bytes) -> bytes:
    """The same file without what differs from one dump of a model to the next: addresses in memory and times.

    skops calls objects and arrays by their addresses. Here they are called by their order, so that the same model has the same bytes.
    """
    archive = zipfile.ZipFile(io.BytesIO(dumped))
    schema = json.loads(archive.read("schema.json"))
    numbers: dict[Any, int] = {}
    files: dict[str, str] = {}

    def renumber(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("__id__"), int):
                node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
            file = node.get("file")
            if isinstance(file, str) and file in archive.namelist():
                ending = file.rpartition(".")[2]
                node["file"] = files.setdefault(file, f"{len(files) + 1}.{ending}")
            for value in node.values():
                renumber(value)
        elif isinstance(node, list):
            for value in node:
                renumber(value)

    renumber(schema)
    if set(files) != set(archive.namelist()) - {"schema.json"}:
        return dumped  # a file that nothing here knows of
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as target:
        for old, new in files.items():
            target.writestr(zipfile.ZipInfo(new), archive.read(old))
        target.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema))
    return written.getvalue()


def _catboost(source: Source) -> Iterator[Form]:
    import tempfile
    from pathlib import Path

    if source.model.get_cat_feature_indices() or source.model.get_text_feature_indices():
        why = "CatBoost writes neither categorical nor text features to ONNX: train on numbers, with the categories encoded before"
        yield Form("ONNX by CatBoost", problem=why)
        return
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            source.model.save_model(str(path), format="onnx")
            yield Form("ONNX by CatBoost", path.read_bytes(), feature_names=list(source.model.feature_names_))
    except Exception as problem:
        yield Form("ONNX by CatBoost", problem=_first_line(problem))


def _converted(source: Source, frame: Frame, by_position: bool) -> Iterator[Form]:
    """ONNX by skl2onnx: the columns as they are, with float32 for numbers, as one matrix; each with its newest operators and older ones."""
    try:
        import skl2onnx
    except ImportError:
        yield Form("ONNX by skl2onnx", problem="skl2onnx is not installed: pip install 'e2i-serve[onnx]'")
        return
    opsets: list[Any] = [None, {"": 17, "ai.onnx.ml": 3}, {"": 15, "ai.onnx.ml": 2}]
    for types_name, types in _types(skl2onnx, frame, by_position):
        for opset in opsets:
            name = f"ONNX by skl2onnx, {types_name}" + (f", opset {opset['']}" if opset else "")
            classifier = hasattr(source.model, "predict_proba")
            options = {id(source.model): {"zipmap": False}} if classifier else None
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    graph = skl2onnx.convert_sklearn(
                        source.model, "model", initial_types=types, options=options, target_opset=opset
                    )
                names = [str(c) for c in frame.columns] if len(types) == 1 and not by_position and frame.shape[1] > 1 else None
                yield Form(name, graph.SerializeToString(), feature_names=names)
            except Exception as problem:
                yield Form(name, problem=_first_line(problem))


def _types(skl2onnx: Any, frame: Frame, by_position: bool) -> Iterator[tuple[str, Any]]:
    from skl2onnx.common.data_types import (
        BooleanTensorType,
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    if not by_position:
        by_kind = {"f": DoubleTensorType, "i": Int64TensorType, "u": Int64TensorType, "b": BooleanTensorType}
        kinds = [getattr(dtype, "kind", "O") for dtype in frame.dtypes]
        names = [str(name) for name in frame.columns]
        yield "columns as they are", [(n, by_kind.get(k, StringTensorType)([None, 1])) for n, k in zip(names, kinds)]
        yield "numbers as float32", [(n, (FloatTensorType if k in "fiub" else StringTensorType)([None, 1])) for n, k in zip(names, kinds)]
    if by_position or all(getattr(d, "kind", "O") in "fiub" for d in frame.dtypes):
        yield "one matrix of float32", [("X", FloatTensorType([None, frame.shape[1]]))]
        yield "one matrix of float64", [("X", DoubleTensorType([None, frame.shape[1]]))]


def _first_line(problem: BaseException) -> str:
    text = str(problem).strip() or type(problem).__name__
    return f"{type(problem).__name__}: {text.splitlines()[0][:200]}"
