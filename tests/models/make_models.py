"""Train the test models, export them to ONNX and write their golden rows.

    python make_models.py              # everything
    python make_models.py NAME [NAME]  # only these

One function makes one model; its docstring says what the model proves. Golden
numbers are computed by the training library, never by ONNX Runtime (fixtures.py
only checks that it agrees). Where a graph reads float32, the library is trained
and asked on numbers that float32 can represent, so both see the same numbers.
"""

import random
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import sklearn
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

import hcp_data
from fixtures import HERE, golden_rows, run_all, save

SKLEARN = f"scikit-learn {sklearn.__version__}"
OPSET = {"": 17, "ai.onnx.ml": 3}
GOLDEN_ROWS = 60


def float32(x):
    """`x` rounded to what float32 can hold, kept as float64 for the library."""
    return np.asarray(x, dtype=np.float32).astype(np.float64)


def convert(model, name, inputs, options=None, opset=OPSET):
    """skl2onnx with a fixed graph name (its own default is random)."""
    return convert_sklearn(model, name, initial_types=inputs, options=options, target_opset=opset)


def matrix_input(width, kind=FloatTensorType):
    return [("float_input" if kind is FloatTensorType else "double_input", kind([None, width]))]


def float8_columns(names):
    return {str(n): "float8" for n in names}


def breast():
    """Breast cancer: train and held-out rows, and the column names."""
    data = load_breast_cancer()
    split = train_test_split(float32(data.data), data.target, test_size=0.3, random_state=7, stratify=data.target)
    return (*split, float8_columns(data.feature_names))


def wine():
    """Wine with the names of the cultivars as labels."""
    data = load_wine()
    names = np.array(["barolo", "grignolino", "barbera"])[data.target]
    split = train_test_split(float32(data.data), names, test_size=0.4, random_state=7, stratify=names)
    return (*split, float8_columns(data.feature_names))


def diabetes():
    """Diabetes in its own units (age in years), so that columns have mixed SQL types."""
    data = load_diabetes(scaled=False)
    columns = float8_columns(data.feature_names)
    columns.update({"age": "integer", "sex": "integer", "bp": "float4", "s5": "numeric"})
    split = train_test_split(data.data, data.target, test_size=0.3, random_state=7)
    return (*split, columns)


def hcp(rows=1600, target="churned"):
    """The HCP table: train and held-out rows (DataFrames) and their target."""
    table = hcp_data.hcp_table(rows, seed=20240)
    return train_test_split(table[list(hcp_data.COLUMNS)], table[target], test_size=0.25, random_state=7)


def binary(model, x, columns, features=None):
    """Golden rows of a binary classifier: prediction is the second class's probability."""
    p = model.predict_proba(x)
    return golden_rows(x if features is None else features, columns, p[:, 1], model.predict(x), p, p)


# --- breast cancer -----------------------------------------------------------


def breast_logistic():
    """The plainest case: one [None, 30] float input, label and probabilities as tensors (ZipMap off)."""
    x, rest, y, _, columns = breast()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    graph = convert(model, "breast_logistic", matrix_input(30), {id(model): {"zipmap": False}})
    save("breast_logistic", graph, "binary_classification", f"{SKLEARN} StandardScaler + LogisticRegression",
         columns, binary(model, rest[:GOLDEN_ROWS], columns), classes=["0", "1"],
         label_output="label", vector_output="probabilities")


def breast_xgboost():
    """XGBoost by onnxmltools, trained and asked with missing values: NULL must reach the graph as NaN."""
    import onnxmltools
    import xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType as Float

    x, rest, y, _, columns = breast()
    rng = np.random.default_rng(11)
    x[rng.random(x.shape) < 0.08] = np.nan
    rest[rng.random(rest.shape) < 0.08] = np.nan
    model = xgboost.XGBClassifier(n_estimators=40, max_depth=3, learning_rate=0.2, n_jobs=1, random_state=7)
    model.fit(x, y)
    graph = onnxmltools.convert_xgboost(model, "breast_xgboost", [("float_input", Float([None, 30]))], target_opset=15)
    save("breast_xgboost", graph, "binary_classification", f"xgboost {xgboost.__version__} XGBClassifier",
         columns, binary(model, rest[:GOLDEN_ROWS], columns), classes=["0", "1"],
         label_output="label", vector_output="probabilities")


def breast_lightgbm():
    """LightGBM by onnxmltools with its default output: a sequence of maps with int64 keys."""
    import lightgbm
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType as Float

    x, rest, y, _, columns = breast()
    model = lightgbm.LGBMClassifier(n_estimators=40, num_leaves=8, learning_rate=0.15, n_jobs=1, random_state=7,
                                    deterministic=True, force_row_wise=True, verbose=-1)
    model.fit(x, y)
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    graph = onnxmltools.convert_lightgbm(model, "breast_lightgbm", [("input", Float([None, 30]))], target_opset=15)
    save("breast_lightgbm", graph, "binary_classification", f"lightgbm {lightgbm.__version__} LGBMClassifier",
         columns, binary(model, rest[:GOLDEN_ROWS], columns), classes=["0", "1"],
         label_output="label", vector_output="probabilities")


def breast_isolation():
    """Anomaly detection: label -1/1 and a decision score (below 0 is an outlier), both [None, 1]."""
    x, rest, _, _, columns = breast()
    model = IsolationForest(n_estimators=50, max_samples=64, random_state=7).fit(x)
    graph = convert(model, "breast_isolation", matrix_input(30))
    picked = rest[:GOLDEN_ROWS]
    score = model.decision_function(picked)
    rows = golden_rows(picked, columns, score, model.predict(picked), None, score[:, None])
    save("breast_isolation", graph, "anomaly", f"{SKLEARN} IsolationForest", columns, rows,
         label_output="label", vector_output="scores")


# --- wine --------------------------------------------------------------------


def wine_forest():
    """Text labels, and ZipMap on: a sequence of maps with string keys in class order."""
    x, rest, y, _, columns = wine()
    model = RandomForestClassifier(n_estimators=30, max_depth=5, random_state=7).fit(x, y)
    graph = convert(model, "wine_forest", matrix_input(13))
    picked = rest[:GOLDEN_ROWS]
    p = model.predict_proba(picked)
    save("wine_forest", graph, "multiclass_classification", f"{SKLEARN} RandomForestClassifier", columns,
         golden_rows(picked, columns, None, model.predict(picked), p, p), classes=[str(c) for c in model.classes_],
         label_output="output_label", vector_output="output_probability")


def wine_kmeans():
    """Clustering: the cluster number, and a vector of distances to the centres (ir version 10)."""
    x, rest, _, _, columns = wine()
    columns = {n: "numeric" for n in columns}
    model = make_pipeline(StandardScaler(), KMeans(n_clusters=3, n_init=5, random_state=7)).fit(x)
    graph = convert(model, "wine_kmeans", matrix_input(13), opset={"": 21, "ai.onnx.ml": 3})
    picked = rest[:GOLDEN_ROWS]
    cluster = model.predict(picked)
    rows = golden_rows(picked, columns, cluster, cluster, None, model.transform(picked))
    save("wine_kmeans", graph, "clustering", f"{SKLEARN} StandardScaler + KMeans", columns, rows,
         label_output="label", vector_output="scores")


# --- diabetes ----------------------------------------------------------------


def diabetes_boosting():
    """Regression by trees, fed from integer, float4, float8 and numeric columns."""
    x, rest, y, _, columns = diabetes()
    x, rest = float32(x), float32(rest)
    model = GradientBoostingRegressor(n_estimators=60, max_depth=3, random_state=7).fit(x, y)
    graph = convert(model, "diabetes_boosting", matrix_input(10))
    picked = rest[:GOLDEN_ROWS]
    value = model.predict(picked)
    save("diabetes_boosting", graph, "regression", f"{SKLEARN} GradientBoostingRegressor", columns,
         golden_rows(picked, columns, value, vector=value[:, None]), vector_output="variable")


def diabetes_float64():
    """A double input and a double output: nothing may be rounded to float32 on the way (1e-9)."""
    x, rest, y, _, columns = diabetes()
    columns["bp"] = "float8"
    model = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(x, y)
    graph = convert(model, "diabetes_float64", matrix_input(10, DoubleTensorType))
    picked = rest[:GOLDEN_ROWS]
    value = model.predict(picked)
    save("diabetes_float64", graph, "regression", f"{SKLEARN} StandardScaler + Ridge", columns,
         golden_rows(picked, columns, value, vector=value[:, None]), tolerance=1e-9, vector_output="variable")


def diabetes_targets():
    """Two regression targets from one model: the disease's progression and the blood pressure."""
    x, rest, y, _, columns = diabetes()
    x, rest = float32(x), float32(rest)
    kept = [i for i, n in enumerate(columns) if n != "bp"]
    bp = list(columns).index("bp")
    columns = {n: t for n, t in columns.items() if n != "bp"}
    model = LinearRegression().fit(x[:, kept], np.column_stack([y, x[:, bp]]))
    graph = convert(model, "diabetes_targets", matrix_input(9))
    picked = rest[:GOLDEN_ROWS, kept]
    save("diabetes_targets", graph, "regression", f"{SKLEARN} LinearRegression (2 targets)", columns,
         golden_rows(picked, columns, vector=model.predict(picked)), tolerance=1e-3, vector_output="variable")


# --- digits ------------------------------------------------------------------


def digits_mlp():
    """Ten classes with integer labels from 64 integer columns; ZipMap with int64 keys."""
    data = load_digits()
    columns = {f"pixel_{i // 8}_{i % 8}": "integer" for i in range(64)}
    x, rest, y, _ = train_test_split(data.data, data.target, test_size=0.3, random_state=7, stratify=data.target)
    model = MLPClassifier(hidden_layer_sizes=(32,), max_iter=600, random_state=7).fit(x, y)
    graph = convert(model, "digits_mlp", matrix_input(64))
    picked = rest[:GOLDEN_ROWS]
    label, p = model.predict(picked), model.predict_proba(picked)
    save("digits_mlp", graph, "multiclass_classification", f"{SKLEARN} MLPClassifier", columns,
         golden_rows(picked, columns, label, label, p, p), classes=[str(c) for c in model.classes_],
         label_output="output_label", vector_output="output_probability")


# --- healthcare professionals ------------------------------------------------


def column_inputs(names):
    """One [None, 1] input a column, of the type that the column has."""
    kinds = {"text": StringTensorType, "integer": Int64TensorType, "bigint": Int64TensorType,
             "boolean": BooleanTensorType, "float4": FloatTensorType, "float8": FloatTensorType}
    return [(n, kinds[hcp_data.COLUMNS[n]]([None, 1])) for n in names]


def hcp_preprocessing(scale=True):
    """Impute and (unless told not to) scale floats, one-hot text, pass integers and the boolean through."""
    impute = SimpleImputer(strategy="median")
    floats = Pipeline([("impute", impute), ("scale", StandardScaler())]) if scale else impute
    return ColumnTransformer([
        ("floats", floats, hcp_data.FLOATS),
        ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), hcp_data.TEXTS),
        ("integers", "passthrough", hcp_data.INTEGERS),
        ("flags", "passthrough", ["is_kol"]),
    ])


def hcp_edge_rows(frame):
    """Copies of a row with an unseen category, with missing text ('') and with both floats missing."""
    edges = frame.iloc[[0, 1, 2, 3, 4]].copy().reset_index(drop=True)
    edges.loc[0, "specialty"] = "Pathology"
    edges.loc[1, "region"] = "Überlingen am See"
    edges.loc[2, hcp_data.TEXTS] = ""
    edges.loc[3, hcp_data.FLOATS] = np.nan
    edges.loc[4, "specialty"] = "primary care"  # the wrong case is an unseen category too
    return pd.concat([frame, edges], ignore_index=True)


def hcp_hist():
    """Histogram boosting on numbers with NaN, one [None, 6] input; NULL takes the branch learnt for missing."""
    x, rest, y, _ = hcp()
    names = hcp_data.NUMERIC
    columns = {n: hcp_data.COLUMNS[n] for n in names}
    x, rest = float32(x[names]), float32(rest[names])
    model = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=12, random_state=7).fit(x, y)
    graph = convert(model, "hcp_hist", matrix_input(len(names)), {id(model): {"zipmap": False}})
    save("hcp_hist", graph, "binary_classification", f"{SKLEARN} HistGradientBoostingClassifier",
         columns, binary(model, rest[:GOLDEN_ROWS], columns), classes=["0", "1"],
         label_output="label", vector_output="probabilities")


def hcp_churn():
    """The demo: a whole pipeline with one named input a column: text, bigint, boolean and float with NULLs.

    The last five golden rows hold unseen categories, empty text and missing floats.
    """
    x, rest, y, _ = hcp()
    columns = hcp_data.COLUMNS
    model = Pipeline([("prepare", hcp_preprocessing()), ("classify", LogisticRegression(C=0.5, max_iter=20000))])
    model.fit(x, y)
    graph = convert(model, "hcp_churn", column_inputs(columns), {id(model): {"zipmap": False}})
    picked = hcp_edge_rows(rest[:GOLDEN_ROWS])
    rows = binary(model, picked, columns, picked.itertuples(index=False))
    # Row 62 asked the library for '', and says so to the database as NULL.
    rows[GOLDEN_ROWS + 2]["features"].update({n: None for n in hcp_data.TEXTS})
    save("hcp_churn", graph, "binary_classification", f"{SKLEARN} ColumnTransformer + LogisticRegression",
         columns, rows, classes=["0", "1"], pass_feature_names=False,
         label_output="label", vector_output="probabilities")


def hcp_two_graph():
    """Two graphs to chain: the preprocessor's float matrix is the only input of the estimator.

    The floats are not scaled: ONNX scales in float32 and scikit-learn in float64, and a
    row whose value lies on a tree's threshold would then go the other way.
    """
    x, rest, y, _ = hcp(target="rx_next_quarter")
    columns = hcp_data.COLUMNS
    prepare = hcp_preprocessing(scale=False).fit(x)
    width = prepare.transform(x[:1]).shape[1]
    model = GradientBoostingRegressor(n_estimators=60, max_depth=3, random_state=7).fit(prepare.transform(x), y)
    first = convert(prepare, "hcp_two_graph_preprocessor", column_inputs(columns))
    graph = convert(model, "hcp_two_graph", [("prepared", FloatTensorType([None, width]))])
    picked = hcp_edge_rows(rest[:GOLDEN_ROWS])
    value = model.predict(prepare.transform(picked))
    rows = golden_rows(picked.itertuples(index=False), columns, value, vector=value[:, None])
    save("hcp_two_graph", graph, "regression", f"{SKLEARN} ColumnTransformer, then GradientBoostingRegressor",
         columns, rows, pass_feature_names=False, preprocessor=first, vector_output="variable", tolerance=1e-3)


def hcp_catboost():
    """CatBoost's own ONNX writer: its input is named `features`, its probabilities are a sequence of maps."""
    import catboost

    x, rest, y, _ = hcp()
    names = hcp_data.NUMERIC
    columns = {n: hcp_data.COLUMNS[n] for n in names}
    x, rest = float32(x[names]), float32(rest[names])
    model = catboost.CatBoostClassifier(iterations=40, depth=4, learning_rate=0.15, random_seed=7, thread_count=1,
                                        verbose=False, allow_writing_files=False)
    model.fit(x, y)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.save_model(str(path), format="onnx", export_parameters={"onnx_graph_name": "hcp_catboost"})
        graph = onnx.load(path)
    # What differs at every run (time, guid) or is the builder's log does not belong in a fixture.
    kept = [(p.key, p.value) for p in graph.metadata_props if p.key == "class_params"]
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, dict(kept))
    graph.producer_version = catboost.__version__
    save("hcp_catboost", graph, "binary_classification", f"catboost {catboost.__version__} CatBoostClassifier",
         columns, binary(model, rest[:GOLDEN_ROWS], columns), classes=["0", "1"],
         label_output="label", vector_output="probabilities")


# --- text --------------------------------------------------------------------

GOOD = ["very interested", "asked for samples", "will prescribe more", "great response", "wants a follow up",
        "pleased with the results", "requested the study", "signed up for the webinar"]
BAD = ["not interested", "too expensive for patients", "prefers the competitor", "cancelled the meeting",
       "complained about side effects", "no time to talk", "insurance refused", "will not switch"]
NEUTRAL = ["spoke with the nurse", "left a brochure", "discussed dosing", "met at the clinic", "short call",
           "Dr. was on time", "talked about Phase III data", "visited the office"]


def call_notes(rows, seed):
    """Notes of sales calls put together from phrase lists, and whether the call went well (0/1)."""
    rng = random.Random(seed)
    texts, liked = [], []
    for _ in range(rows):
        good = rng.random() < 0.5
        own, other = (GOOD, BAD) if good else (BAD, GOOD)
        parts = rng.sample(NEUTRAL, rng.randint(1, 2)) + rng.sample(own, rng.randint(1, 2))
        if rng.random() < 0.2:
            parts.append(rng.choice(other))
        rng.shuffle(parts)
        texts.append(rng.choice([". ", ", ", "; "]).join(parts).capitalize() + rng.choice([".", "!", ""]))
        liked.append(int(good))
    return np.array(texts, dtype=object), np.array(liked)


def notes_tfidf():
    """One text column: lowercasing, tokens and TF-IDF inside the graph (custom domain com.microsoft).

    The graph's StringNormalizer gets the locale "C": without it ONNX Runtime asks for
    en_US.UTF-8, which a small container does not have (see README.md).
    """
    texts, liked = call_notes(500, seed=5)
    x, rest, y, _ = train_test_split(texts, liked, test_size=0.3, random_state=7)
    words = TfidfVectorizer(lowercase=True)
    model = Pipeline([("words", words), ("classify", LogisticRegression(C=3.0, max_iter=1000))]).fit(x, y)
    graph = convert(model, "notes_tfidf", [("note", StringTensorType([None, 1]))],
                    {id(model): {"zipmap": False}, id(words): {"locale": "C"}})
    picked = np.concatenate([rest[:GOLDEN_ROWS], np.array(["", "unseen words only", "VERY INTERESTED"], dtype=object)])
    columns = {"note": "text"}
    save("notes_tfidf", graph, "binary_classification", f"{SKLEARN} TfidfVectorizer + LogisticRegression",
         columns, binary(model, picked, columns, picked[:, None]), classes=["0", "1"], pass_feature_names=False,
         label_output="label", vector_output="probabilities")


# --- the demo table ----------------------------------------------------------


def customers_csv():
    """customers.csv: 2,000 rows for the demo table; an empty field is a missing number."""
    path = HERE / "customers.csv"
    hcp_data.customers(2000, seed=31).to_csv(path, index=False, lineterminator="\n")
    print(f"customers.csv: {path.stat().st_size} bytes")


MAKERS = [
    breast_logistic, breast_xgboost, breast_lightgbm, breast_isolation,
    wine_forest, wine_kmeans,
    diabetes_boosting, diabetes_float64, diabetes_targets,
    digits_mlp,
    hcp_hist, hcp_churn, hcp_two_graph, hcp_catboost,
    notes_tfidf, customers_csv,
]

if __name__ == "__main__":
    run_all(MAKERS, sys.argv[1:])
