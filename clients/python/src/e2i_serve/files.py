"""Models in files. Nothing in a file is executed, but for pickles, and these only when the caller says so."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from .errors import E2iError, NotInstalled
from .source import Source, kind_of

#: Libraries whose classes (not their functions) may stand in a .skops file without being named by the caller.
TRUSTED = ("numpy", "scipy", "sklearn", "xgboost", "lightgbm", "imblearn", "collections")

READ = ".skops, .onnx, .ubj, .json, .txt, .lgb, .cbm, .cb; with allow_pickle .pkl, .pickle, .joblib"


def load_file(path: Path, *, trust: tuple[str, ...] = (), allow_pickle: bool = False) -> Source:
    """Reads a model's file, by its ending.

    :param trust: names of further types that a .skops file may contain, as ``skops.io.load`` has them.
    :param allow_pickle: whether a pickle is opened. That executes what is in it, here, with the rights of the caller.
    """
    if not path.is_file():
        raise E2iError(f"there is no file {path}")
    try:
        return _read(path, path.suffix.lower(), trust, allow_pickle)
    except (E2iError, MemoryError):
        raise
    except Exception as problem:  # each library has errors of its own for what is damaged, cut short, or something else
        why = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
        raise E2iError(f"{path.name} cannot be read as what its ending says: {why}") from problem


def _read(path: Path, ending: str, trust: tuple[str, ...], allow_pickle: bool) -> Source:
    if ending == ".skops":
        return Source("sklearn", load_skops(path, trust), path.read_bytes())
    if ending == ".onnx":
        return Source("onnx", artifact=onnx_inlined(path))
    if ending in (".ubj", ".json"):
        return Source("xgboost", _xgboost(path), path.read_bytes())
    if ending in (".txt", ".lgb"):
        return Source("lightgbm", _lightgbm(path), path.read_bytes())
    if ending in (".cbm", ".cb"):
        return Source("catboost", _catboost(path))
    if ending in (".pkl", ".pickle", ".joblib"):
        if not allow_pickle:
            raise E2iError(
                f"{path.name} is a pickle, and opening one executes what is in it: say --allow-pickle if you trust whoever wrote it, "
                "or save the model with skops.io.dump"
            )
        model = _pickle(path)
        return Source(kind_of(model), model)
    raise E2iError(f"{path.name} is none of {READ}")


def load_skops(path: Path, trust: tuple[str, ...] = ()) -> Any:
    """The estimator in a .skops file. Types that are neither trusted nor classes of well-known libraries are refused by name."""
    try:
        import skops.io
    except ImportError:
        raise NotInstalled("skops", "sklearn") from None
    unknown = skops.io.get_untrusted_types(file=path)
    refused = [name for name in unknown if name not in trust and not _is_known_class(name)]
    if refused:
        options = " ".join(f"--trust {name}" for name in refused)
        raise E2iError(f"{path.name} contains types that are not known to be harmless: {', '.join(refused)}. If you trust them: {options}")
    model = skops.io.load(path, trusted=unknown)
    # XGBoost's and LightGBM's own estimators are saved so by MLflow: their own files are exact.
    return model


def _is_known_class(name: str) -> bool:
    module, _, member = name.rpartition(".")
    if module.split(".")[0] not in TRUSTED:
        return False
    try:
        return isinstance(getattr(importlib.import_module(module), member, None), type)
    except ImportError:
        return False


def onnx_inlined(path: Path) -> bytes:
    """The bytes of a graph, with weights that it keeps in files of their own taken in."""
    try:
        import onnx
    except ImportError:
        raise NotInstalled("onnx", "onnx") from None
    graph = onnx.load(str(path), load_external_data=False)
    if not any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in onnx.external_data_helper._get_all_tensors(graph)):
        return path.read_bytes()
    graph = onnx.load(str(path))
    try:
        return bytes(graph.SerializeToString())
    except Exception:
        raise E2iError(f"{path.name} and its weights together are more than the 2 GB that an ONNX file can hold") from None


def _xgboost(path: Path) -> Any:
    try:
        import xgboost
    except ImportError:
        raise NotInstalled("xgboost", "push") from None
    booster = xgboost.Booster()
    booster.load_model(path)
    return booster


def _lightgbm(path: Path) -> Any:
    try:
        import lightgbm
    except ImportError:
        raise NotInstalled("lightgbm", "push") from None
    return lightgbm.Booster(model_file=str(path))


def _catboost(path: Path) -> Any:
    try:
        import catboost
    except ImportError:
        raise NotInstalled("catboost", "push") from None
    plain = catboost.CatBoost().load_model(str(path))
    if len(plain.classes_):
        return catboost.CatBoostClassifier().load_model(str(path))
    return catboost.CatBoostRegressor().load_model(str(path))


def _pickle(path: Path) -> Any:
    try:
        import joblib
    except ImportError:
        import pickle

        with path.open("rb") as file:
            return pickle.load(file)
    return joblib.load(path)
