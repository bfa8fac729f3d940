"""What shap says of scikit-learn's models: `shap/`, each model as its own file or as ONNX.

    venv/bin/python make_shap.py            # shap 0.51.0, skops 0.16.0, besides requirements.txt

`NAME.json`: the columns and their types, rows, a background, and for each number that is asked for base value and contributions. Steps
before the estimator are applied first; what shap says of the columns that they make is added up for each feature. Trees against a
background behind an encoder are played out here over all coalitions of features.
"""

import itertools
import json
import math
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import shap
import skops.io
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesRegressor, GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier,
    HistGradientBoostingRegressor, IsolationForest, RandomForestClassifier, RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

warnings.filterwarnings("ignore")
INTO = Path(__file__).parent / "shap"
NAMES = ["a", "b", "c", "d"]
random = np.random.default_rng(17)
X = np.round(random.normal(size=(160, 4)), 3).astype(np.float32).astype(float)
Z = X[:, 0] * X[:, 1] + X[:, 2] ** 2 - X[:, 3] + 0.3 * random.normal(size=len(X))
Y = {"value": Z, "count": np.floor(np.exp(np.clip(Z, -2, 2))), 2: (Z > 0.5).astype(int), 3: np.digitize(Z, [0, 1])}
HOLES = np.where(random.random(X.shape) < 0.15, np.nan, X)
MIXED = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "city": random.choice(["Bern", "Rome", "Oslo"], len(X)), "size": random.choice(["S", "M", "L"], len(X))})
ROWS, BACKGROUND = slice(0, 4), slice(20, 45)


def by_class(values, count):
    """A list of arrays, one a number of the answer."""
    values = np.asarray(values)
    return [values] if values.ndim == 2 else [values[:, :, at] for at in range(count)]


def summed(values, of, count):
    result = np.zeros((len(values), count))
    for column, feature in enumerate(of):
        result[:, feature] += values[:, column]
    return result


def played(worth, rows, background):
    """Shapley values of the mean of `worth` over the background, over all coalitions."""
    count, result = rows.shape[1], []
    for at in range(len(rows)):
        worths = {}
        for members in itertools.product([False, True], repeat=count):
            mixed = background.copy()
            for feature in np.flatnonzero(members):
                mixed[mixed.columns[feature]] = rows.iat[at, feature]
            worths[members] = worth(mixed).mean()
        added = []
        for feature in range(count):
            total = 0.0
            for members, value in worths.items():
                if not members[feature]:
                    size = sum(members)
                    more = tuple(m or f == feature for f, m in enumerate(members))
                    total += math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count) * (worths[more] - value)
            added.append(total)
        result.append(added)
    return np.array(result)


def write(name, artifact, ending, data, answers, tolerance):
    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data, columns=NAMES)
    (INTO / f"{name}.{ending}").write_bytes(artifact)
    listed = lambda part: json.loads(frame.iloc[part].to_json(orient="values", double_precision=15))
    types = ["float8" if kind.kind == "f" else "text" for kind in frame.dtypes]
    found = {"columns": list(frame.columns), "types": types, "tolerance": tolerance, "rows": listed(ROWS), "background": listed(BACKGROUND), "answers": answers}
    (INTO / f"{name}.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


def answer(method, base, values, target=None, covers="file"):
    return {"method": method, "class": target, "covers": covers, "base": float(base), "values": np.asarray(values).tolist()}


def of_trees(name, model, data, count, steps=None, of=None, methods=("path_dependent", "interventional"), times=1.0, onnx=False):
    estimator = model[-1] if steps is not None else model
    encoded = steps.transform(data) if steps is not None else np.asarray(data)
    of = range(encoded.shape[1]) if of is None else of
    answers = []
    for method in methods:
        background = np.asarray(encoded[BACKGROUND]) if method == "interventional" else None
        kind = "interventional" if background is not None else "tree_path_dependent"
        explainer = shap.TreeExplainer(estimator, background, feature_perturbation=kind)
        values = by_class(explainer.shap_values(np.asarray(encoded[ROWS]), check_additivity=False), count)
        bases = np.atleast_1d(explainer.expected_value)
        for target, one in enumerate(values):
            target_name = None if len(values) == 1 else str(target)
            answers.append(answer(method, bases[target] * times, summed(one, of, data.shape[1]) * times, target_name))
    if onnx:
        artifact = to_onnx(model, initial_types=[("x", FloatTensorType([None, data.shape[1]]))], options={"zipmap": False} if count > 1 or hasattr(model, "classes_") else None)
        write(name, artifact.SerializeToString(), "onnx", data, answers, 2e-6)
    else:
        write(name, skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED), "skops", data, answers, 1e-9)


def of_product(name, model, data, count, steps=None, of=None, onnx=False):
    estimator = model[-1] if steps is not None else model
    encoded = np.asarray(steps.transform(data) if steps is not None else data)
    of = range(encoded.shape[1]) if of is None else of
    explainer = shap.LinearExplainer(estimator, shap.maskers.Independent(encoded[BACKGROUND], max_samples=1000))
    values = by_class(explainer.shap_values(encoded[ROWS]), count)
    bases = np.atleast_1d(explainer.expected_value)
    answers = [answer("interventional", bases[t], summed(one, of, data.shape[1]), None if len(values) == 1 else str(t)) for t, one in enumerate(values)]
    if onnx:
        artifact = to_onnx(model, initial_types=[("x", FloatTensorType([None, data.shape[1]]))], options={"zipmap": False} if hasattr(model, "classes_") else None)
        write(name, artifact.SerializeToString(), "onnx", data, answers, 2e-6)
    else:
        write(name, skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED), "skops", data, answers, 1e-9)


def main():
    INTO.mkdir(exist_ok=True)
    small = {"n_estimators": 5, "max_depth": 3, "random_state": 1}
    of_trees("forest_2", RandomForestClassifier(**small).fit(X, Y[2]), X, 2)
    of_trees("forest_3", RandomForestClassifier(**small).fit(X, Y[3]), X, 3)
    of_trees("forest", RandomForestRegressor(**small).fit(X, Y["value"]), X, 1)
    of_trees("extra", ExtraTreesRegressor(**small).fit(X, Y["value"]), X, 1)
    of_trees("tree_3", DecisionTreeClassifier(max_depth=4, random_state=1).fit(X, Y[3]), X, 3)
    of_trees("boosting", GradientBoostingRegressor(**small).fit(X, Y["value"]), X, 1)
    of_trees("boosting_2", GradientBoostingClassifier(**small).fit(X, Y[2]), X, 1)
    hist = {"max_iter": 5, "max_leaf_nodes": 7, "random_state": 1}
    of_trees("hist_2", HistGradientBoostingClassifier(**hist).fit(HOLES, Y[2]), HOLES, 1)
    of_trees("hist_3", HistGradientBoostingClassifier(**hist).fit(X, Y[3]), X, 3)
    of_trees("hist_count", HistGradientBoostingRegressor(loss="poisson", **hist).fit(X, Y["count"]), X, 1)
    of_trees("isolation", IsolationForest(n_estimators=5, max_samples=64, random_state=1).fit(X), X, 1, methods=("path_dependent",))
    steps = make_pipeline(SimpleImputer(), StandardScaler()).fit(HOLES)
    model = make_pipeline(*[step for _, step in steps.steps], GradientBoostingClassifier(**small)).fit(HOLES, Y[2])
    of_trees("behind_steps", model, HOLES, 1, model[:-1])

    columns = make_column_transformer((OneHotEncoder(), ["city"]), (OrdinalEncoder(), ["size"]), remainder=StandardScaler())
    model = make_pipeline(columns, RandomForestRegressor(**small)).fit(MIXED, Y["value"])
    of = [2, 2, 2, 3, 0, 1]
    of_trees("one_hot", model, MIXED, 1, model[:-1], of, methods=("path_dependent",))
    found = json.loads((INTO / "one_hot.json").read_text())
    rows, background = MIXED.iloc[ROWS], MIXED.iloc[BACKGROUND]
    values = played(model.predict, rows, background)
    found["answers"].append(answer("interventional", model.predict(background).mean(), values))
    (INTO / "one_hot.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")

    of_product("ols", LinearRegression().fit(X, Y["value"]), X, 1)
    of_product("logistic_2", LogisticRegression().fit(X, Y[2]), X, 1)
    of_product("logistic_3", LogisticRegression().fit(X, Y[3]), X, 3)
    of_product("poisson", PoissonRegressor().fit(X, Y["count"]), X, 1)
    model = make_pipeline(columns, LogisticRegression()).fit(MIXED, Y[2])
    of_product("logistic_one_hot", model, MIXED, 1, model[:-1], of)

    of_trees("onnx_forest_3", RandomForestClassifier(bootstrap=False, **small).fit(X, Y[3]), X, 3, methods=("interventional",), onnx=True)
    of_trees("onnx_boosting", GradientBoostingRegressor(**small).fit(X, Y["value"]), X, 1, methods=("interventional",), onnx=True)
    of_trees("onnx_boosting_2", GradientBoostingClassifier(**small).fit(X, Y[2]), X, 1, methods=("interventional",), onnx=True)
    # Where the background is the training set, counts are scikit-learn's covers.
    part = X[BACKGROUND]
    of_trees("onnx_counted", GradientBoostingRegressor(**small).fit(part, Y["value"][BACKGROUND]), X, 1, methods=("path_dependent",), onnx=True)
    found = json.loads((INTO / "onnx_counted.json").read_text())
    found["answers"][0]["covers"] = "count"
    (INTO / "onnx_counted.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y[2])
    of_product("onnx_logistic", model, X, 1, model[:-1], onnx=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y[3])
    of_product("onnx_logistic_3", model, X, 3, model[:-1], onnx=True)


if __name__ == "__main__":
    main()
