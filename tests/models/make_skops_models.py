"""Makes the models in skops/ and what scikit-learn answers to hostile rows.

    python3.11 -m venv venv && venv/bin/pip install scikit-learn==1.9.1 skops==0.16.0 pandas==3.1.1 xgboost==3.2.0 lightgbm==4.7.0
    venv/bin/python make_skops_models.py skops new
    python3.11 -m venv old && old/bin/pip install scikit-learn==1.5.2 skops==0.11.0 numpy==1.26.4 pandas==2.2.3
    old/bin/python make_skops_models.py skops old

Names after that make these models alone, beside the others. Each run writes its models and one `<version>.golden.json`: the rows of each data set, and for each model and row what
`predict`, `predict_proba`, `decision_function`, `score_samples` or `transform` say, or that it is an error, or undefined. Rows
are asked one by one. `tolerance` is relative to the greatest number of a row; 0 is to the bit.
"""

import json
import math
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import *
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import *
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import *
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import *
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, ExpSineSquared, Matern, RationalQuadratic, WhiteKernel
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import *
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR, OneClassSVM
from sklearn.tree import *

warnings.filterwarnings("ignore")
NEW = sys.argv[2] == "new"
ONLY = sys.argv[3:]
TRAIN, ROWS = 240, 50
rng = np.random.default_rng(15)


def numeric(missing):
    frame = pd.DataFrame({
        "tenure": rng.gamma(2, 12, TRAIN).round(1),
        "calls": rng.poisson(3, TRAIN).astype(float),
        "balance": rng.normal(0, 1000, TRAIN).round(2),
        "ratio": rng.uniform(0, 1, TRAIN),
        "score": rng.normal(0, 1, TRAIN),
    })
    if missing:
        for column in frame.columns[:4]:
            frame.loc[rng.random(TRAIN) < 0.12, column] = np.nan
    return frame


def mixed():
    frame = numeric(True)
    city = rng.choice(["Bern", "Genève", "Zürich", "Ägeri", "nan"], TRAIN, p=[0.4, 0.3, 0.15, 0.1, 0.05]).astype(object)
    city[rng.random(TRAIN) < 0.1] = None
    frame["city"] = pd.Series(city, dtype=object)
    plan = rng.choice(["basic", "pro", "team"], TRAIN, p=[0.6, 0.3, 0.1])
    frame["plan"] = pd.Series(plan.astype(object), dtype=object)
    frame["visits"] = rng.choice([0, 1, 2, 5, 9], TRAIN)
    frame["active"] = rng.random(TRAIN) < 0.5
    return frame


WORDS = """the quick brown fox isn't slow 12 a3 _x naïve café Straße ΣΑΣ İstanbul e-mail don't über ½ Ⅷ क्षि x² 北京 ПРИВЕТ fiancé und 3.14 WAIT wait
not good bad ugly late refund order broken thanks again invoice paid unpaid customer angry happy call back""".split()


def notes():
    own = np.random.default_rng(16)
    text = lambda: " ".join(own.choice(WORDS, int(own.integers(1, 12))))
    frame = pd.DataFrame({"note": pd.Series([text() for _ in range(TRAIN)], dtype=object), "title": pd.Series([text() for _ in range(TRAIN)], dtype=object)})
    frame["amount"] = own.normal(0, 10, TRAIN).round(2)
    return frame


SETS = {"notes": notes(), "numbers": numeric(False), "holes": numeric(True), "mixed": mixed()}


def target(frame, classes):
    if "note" in frame:
        angry = frame["note"].str.count("bad|ugly|angry|broken|WAIT") - frame["note"].str.count("good|happy|thanks") + frame["amount"] / 20
        return np.asarray(angry) if classes == 0 else np.minimum(np.digitize(angry, [-0.5, 0.5]), classes - 1)
    base = np.nan_to_num(frame["score"]) + np.nan_to_num(frame["tenure"]) / 30 - np.nan_to_num(frame["balance"]) / 2000
    noisy = base + rng.normal(0, 0.4, len(frame))
    if classes == 0:
        return np.asarray(noisy)
    return np.digitize(noisy, np.quantile(noisy, [index / classes for index in range(1, classes)]))


TARGETS = {(name, count): target(frame, count) for name, frame in SETS.items() for count in (0, 2, 3, 9)}


TEXTS = ["", " ", "a", "the", "The QUICK\u2003 brown\tfox\x1c\x1dend  x", "e\u0301te\u0301 cafe\u0301 naïve", "ΟΔΟΣ ΣΑΣ. ΣΑΣ", "İSTANBUL Iı ß ẞ", "ﬁne ½ Ⅷ ² x² ①Ⓐ", "क्षि हिन्दी",
         "北京 ПРИВЕТ мир", "a_b __ _ 1_000", "don't isn't e-mail", "x\u200dy z\u00a0w\u0085v", "bad bad bad good", "\U0001d400\U0001f600 emoji", "wait WAIT Wait", "a" * 300, "nul\x00byte", "ǅ ŉ ΐ"]


def hostile(name):
    frame = SETS[name]
    rows = []
    if name == "notes":
        own = np.random.default_rng(17)
        for index in range(ROWS):
            row = frame.iloc[int(own.integers(TRAIN))].to_dict()
            if index < 2 * len(TEXTS):
                row["title" if index % 2 else "note"] = TEXTS[index // 2]
            if index == 47:
                row["note"] = row["title"] = None
            rows.append(row)
        return rows
    extremes = [0.0, -0.0, 1e-45, -1e-45, 1e-300, 3.4e38, -3.4e38, 1e39, 1e300, 16777217.0, 0.1, math.inf, -math.inf, math.nan, 1e6, -1e6]
    for index in range(ROWS):
        row = frame.iloc[int(rng.integers(TRAIN))].to_dict()
        if index % 2:
            column = frame.columns[int(rng.integers(len(frame.columns)))]
            if column in ("city", "plan"):
                row[column] = [None, "Basel", "", "basic ", "nan", "Genève"][int(rng.integers(6))]
            elif column == "visits":
                row[column] = int(rng.choice([3, 9, -1]))
            elif column != "active":
                row[column] = extremes[int(rng.integers(len(extremes)))]
        rows.append(row)
    # On and beside the numbers that trees split at.
    for index in range(0, 20, 2):
        first, second = (frame["tenure"].dropna().iloc[index + offset] for offset in (0, 1))
        rows[index]["tenure"] = (first + second) / 2
    return rows


EVALUATED = {name: hostile(name) for name in SETS}


# Columns of a data frame that are categories; XGBoost 3.2 does not write texts with other letters than ASCII's as it should.
CATEGORIES = {"categories": ["city", "plan"], "plan": ["plan"]}


def plain(value):
    if value is None or isinstance(value, (bool, np.bool_, str)):
        return bool(value) if isinstance(value, np.bool_) else value
    value = float(value) if not float(value).is_integer() or math.copysign(1, value) < 0 or abs(value) > 2**53 else int(value)
    if math.isnan(value):
        return None
    return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, value)


def shown(label):
    if isinstance(label, (bool, np.bool_)):
        return "true" if label else "false"
    return str(label)


def answer(model, kind, row):
    try:
        frame = pd.DataFrame([row], columns=list(row))
        for column in ("city", "plan", "note", "title"):
            if column in frame:
                frame[column] = pd.Series([row[column]], dtype=object)
        if kind in CATEGORIES:
            frame = frame.drop(columns=["city", "plan"][: 2 - len(CATEGORIES[kind])])
            for column in CATEGORIES[kind]:
                known = sorted(SETS["mixed"][column].dropna().unique())
                if kind == "plan" and isinstance(row[column], str) and row[column] not in known:
                    return {"undefined": True}  # XGBoost 3.2 lets some that it does not know pass.
                frame[column] = pd.Categorical(frame[column], categories=known)
        if kind == "unnamed":
            frame = frame.to_numpy(dtype=float)
        elif kind == "note":
            frame = [row["note"]]
        out = {}
        is_transformer = not hasattr(model, "predict")
        if is_transformer:
            numbers = model.transform(frame)
            numbers = numbers.toarray() if hasattr(numbers, "toarray") else numbers
        else:
            label = np.asarray(model.predict(frame))
            last = model[-1] if hasattr(model, "steps") else model
            is_cluster = hasattr(last, "n_clusters")
            is_mixture = hasattr(last, "covariance_type")
            # Of several outputs there is no one label.
            is_several = "Chain" in type(last).__name__ or type(last).__name__ == "MultiOutputClassifier"
            if is_mixture or not is_several and hasattr(model, "classes_") or hasattr(model, "offset_") or is_cluster:
                out["label"] = shown(label[0])
            if hasattr(model, "predict_proba"):
                numbers = model.predict_proba(frame)
            elif is_cluster:
                numbers = model.transform(frame)
            elif hasattr(model, "decision_function"):
                numbers = model.decision_function(frame)
            else:
                numbers = None if "label" in out else label
            if is_several and hasattr(model, "predict_proba"):
                numbers = model.predict_proba(frame)
        if numbers is not None:
            out["numbers"] = [None if math.isnan(x) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(x, x) for x in np.asarray(numbers, dtype=float).ravel().tolist()]
        return out
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        return {"error": str(error).splitlines()[0][:90]}


GOLDEN = Path(sys.argv[1], f"{sys.argv[2]}.golden.json")
models = json.loads(GOLDEN.read_text())["models"] if ONLY else {}
rows = {name: {"columns": list(SETS[name].columns), "rows": [[plain(value) for value in row.values()] for row in rows]} for name, rows in EVALUATED.items()}


def write():
    golden = {"data": rows, "models": models}
    GOLDEN.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")


def add(name, data, classes, model, tolerance=1e-12, text=None, unnamed=False, store=False, few=None):
    if (ONLY and name not in ONLY) or (not NEW and name.removeprefix("old_") not in OLD):
        return
    frame = SETS[data].copy()
    y = TARGETS[data, classes]
    if text in ("text", "text9"):
        y = np.array([f"class {value}" for value in y])
    elif text == "bool":
        y = y == 1
    elif text == "several":
        y = np.column_stack([y, TARGETS[data, 3] > 0 if classes else np.sin(y), TARGETS[data, 2]])
    elif text == "object":
        y = np.array([["low", "high", "mid"][value] for value in y], dtype=object)
    x = frame.to_numpy(dtype=float) if unnamed else list(frame["note"]) if text == "note" else frame
    if text in CATEGORIES:
        x = x.drop(columns=["city", "plan"][: 2 - len(CATEGORIES[text])])
        for column in CATEGORIES[text]:
            x[column] = pd.Categorical(x[column], categories=sorted(x[column].dropna().unique()))
    model.fit(x[:few], y[:few])
    path = Path(sys.argv[1]) / f"{name}.skops"
    how = {} if store else {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 9}
    skops.io.dump(model, path, **how)
    kind = "unnamed" if unnamed else text
    answers = [answer(model, kind, row) for row in EVALUATED[data]]
    if "neighbours" in name or "local" in name:
        # Far away from all points, distances are equal, and which of them count is not defined.
        for at, row in enumerate(EVALUATED[data]):
            if "error" not in answers[at] and max(abs(value) for value in row.values()) > 1e12:
                answers[at] = {"undefined": True}
    models[name] = {"data": data, "tolerance": tolerance, "answers": answers} | ({"features": ["note"]} if text == "note" else {"features": list(x.columns)} if text == "plan" else {})
    refused = sum("error" in answer for answer in answers)
    write()
    print(f"{name:32} {path.stat().st_size:8} bytes, {refused} of {ROWS} refused", flush=True)


class Sparse(SGDClassifier):
    """Coefficients kept sparse."""

    def fit(self, x, y):
        return super().fit(x, y).sparsify()


Sparse.__module__, Sparse.__qualname__, Sparse.__name__ = SGDClassifier.__module__, "SGDClassifier", "SGDClassifier"


def numbers(*steps):
    return make_pipeline(SimpleImputer(), *steps)


def table(**more):
    return ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["tenure", "balance", "ratio"]),
        ("texts", OneHotEncoder(handle_unknown="ignore", **more), ["city", "plan"]),
        ("visits", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=40), ["visits"]),
    ], remainder="drop")


v = "" if NEW else "old_"
EXACT = 0
# Of the older version those that it computes, or keeps, otherwise.
OLD = """pipeline_nested columns_selector encode_infrequent_drop encode_ordinal_infrequent encode_plain impute_median union logistic_ovr
logistic_multinomial logistic_multi logistic_binary logistic_cv sgd_log_loss_3 sgd_modified_huber_3 lda_3 tree_binary tree_holes tree_extra
forest_3 boosting_2 boosting_exponential boosting_3 boosting_init hist_2 hist_categories hist_gamma isolation_features ada_2 ada_3 ada_linear
bagging mlp_relu splines_linear quantile_normal impute_neighbours select_model_forest ada_regressor process_matern_15 process_classifier_2 mixture_full mixture_bayes_diag local_outliers bayes_categorical
several_classes chain_classes chain_values output_code text_count text_tfidf text_columns text_hashing voting_soft voting_hard stacking_2 calibrated_sigmoid calibrated_isotonic dummy""".split()

# Pipelines.
add(v + "pipeline_mixed_logistic", "mixed", 2, Pipeline([("prepare", table()), ("classify", LogisticRegression())]), text="text")
add(v + "pipeline_nested", "mixed", 3, Pipeline([
    ("outer", ColumnTransformer([
        ("inner", Pipeline([("impute", ColumnTransformer([("n", SimpleImputer(add_indicator=True), [0, 1])], remainder="passthrough")), ("scale", MinMaxScaler(clip=True))]), ["tenure", "calls", "score"]),
        ("rest", SimpleImputer(strategy="constant", fill_value=-1), slice("balance", "ratio")),
        ("flags", "passthrough", [8]),
        ("none", "drop", ["plan"]),
    ], transformer_weights={"rest": 0.5})),
    ("skip", "passthrough"),
    ("forest", RandomForestClassifier(5, max_depth=4, random_state=0))]), EXACT, text="object")
add(v + "columns_selector", "mixed", 0, make_pipeline(
    ColumnTransformer([("t", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2), make_column_selector(dtype_include=object)),
                       ("n", RobustScaler(), make_column_selector(dtype_include=float))], remainder="passthrough"),
    HistGradientBoostingRegressor(max_iter=8, max_leaf_nodes=8)), EXACT)
add(v + "union", "numbers", 2, make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", MaxAbsScaler()), ("c", "passthrough"), ("d", "drop")], transformer_weights={"b": 3.0}), RidgeClassifier()))
add(v + "functions", "numbers", 0, make_pipeline(FunctionTransformer(), FunctionTransformer(np.abs), FunctionTransformer(np.log1p), LinearRegression()))
add(v + "search", "numbers", 2, GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2))

# Transformers, alone.
for name, transformer in {
    "standard": StandardScaler(), "standard_mean": StandardScaler(with_std=False), "min_max": MinMaxScaler((-1, 2)), "max_abs": MaxAbsScaler(),
    "robust": RobustScaler(), "l1": Normalizer("l1"), "l2": Normalizer(), "max": Normalizer("max"), "binarizer": Binarizer(threshold=0.5),
}.items():
    add(v + "scale_" + name, "numbers", 0, transformer, EXACT if name not in ("l2", "l1") else 1e-15)
for strategy in ("mean", "median", "most_frequent"):
    add(v + "impute_" + strategy, "holes", 0, SimpleImputer(strategy=strategy, add_indicator=strategy == "median"), EXACT)
add(v + "impute_zeros", "numbers", 0, SimpleImputer(missing_values=0, add_indicator=True), EXACT)
add(v + "indicator", "holes", 0, MissingIndicator(), EXACT)
encoders = {
    "plain": OneHotEncoder(), "ignore": OneHotEncoder(handle_unknown="ignore"), "drop_first": OneHotEncoder(drop="first", handle_unknown="ignore"),
    "if_binary": OneHotEncoder(drop="if_binary"), "infrequent": OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30),
    "infrequent_drop": OneHotEncoder(handle_unknown="ignore", max_categories=3, drop="first"),
    "ordinal": OrdinalEncoder(), "ordinal_unknown": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
    "ordinal_infrequent": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=99, min_frequency=30, encoded_missing_value=-5),
}
for name, encoder in encoders.items():
    add(v + "encode_" + name, "mixed", 0, ColumnTransformer([("e", encoder, ["city", "plan", "visits", "active"])]), EXACT)
add(v + "impute_texts", "mixed", 0, make_pipeline(ColumnTransformer([
    ("a", make_pipeline(SimpleImputer(missing_values=None, strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), ["city"]),
    ("b", make_pipeline(SimpleImputer(missing_values="pro", strategy="constant", fill_value="other"), OneHotEncoder()), ["plan"])])), EXACT)

# Linear models.
for name, model in {
    "ols": LinearRegression(), "ridge": Ridge(), "lasso": Lasso(0.01), "elastic": ElasticNet(0.01), "bayesian": BayesianRidge(), "huber": HuberRegressor(),
    "sgd": make_pipeline(StandardScaler(), SGDRegressor(random_state=0)), "linear_svr": LinearSVR(random_state=0),
}.items():
    add(v + "linear_" + name, "numbers", 0, model)
for name, model in {"poisson": PoissonRegressor(), "gamma": GammaRegressor(), "tweedie": TweedieRegressor(power=1.5), "tweedie_normal": TweedieRegressor()}.items():
    key = ("numbers", 0)
    kept, TARGETS[key] = TARGETS[key], np.abs(TARGETS[key]) + 0.1
    add(v + "glm_" + name, "numbers", 0, make_pipeline(StandardScaler(), model))
    TARGETS[key] = kept
scaled = lambda model: make_pipeline(StandardScaler(), model)
add(v + "logistic_binary", "numbers", 2, scaled(LogisticRegression()), text="bool")
add(v + "logistic_raw", "numbers", 2, LogisticRegression(max_iter=50))
add(v + "logistic_multi", "numbers", 3, scaled(LogisticRegression()), text="text")
add(v + "logistic_cv", "numbers", 3, scaled(LogisticRegressionCV(Cs=2, cv=2)))
add(v + "logistic_unnamed", "numbers", 2, scaled(LogisticRegression()), unnamed=True)
if not NEW:
    add(v + "logistic_ovr", "numbers", 3, scaled(LogisticRegression(multi_class="ovr")))
    add(v + "logistic_multinomial", "numbers", 2, scaled(LogisticRegression(multi_class="multinomial")))
for loss in ("log_loss", "modified_huber", "hinge"):
    for classes in (2, 3):
        add(v + f"sgd_{loss}_{classes}", "numbers", classes, scaled(SGDClassifier(loss=loss, random_state=0)))
add(v + "perceptron", "numbers", 2, scaled(Perceptron()))
add(v + "linear_svc", "numbers", 3, scaled(LinearSVC()), text="text")
add(v + "lda_2", "numbers", 2, LinearDiscriminantAnalysis())
add(v + "lda_3", "numbers", 3, LinearDiscriminantAnalysis())

# Trees.
add(v + "tree_binary", "numbers", 2, DecisionTreeClassifier(max_depth=5, random_state=0), EXACT, text="bool", store=True)
add(v + "tree_holes", "holes", 3, DecisionTreeClassifier(max_depth=6, random_state=0), EXACT)
add(v + "tree_regressor", "holes", 0, DecisionTreeRegressor(max_depth=6, random_state=0), EXACT)
add(v + "tree_extra", "numbers", 3, ExtraTreeClassifier(max_depth=5, random_state=0), EXACT)
add(v + "forest_3", "holes", 3, RandomForestClassifier(8, max_depth=5, random_state=0), EXACT, text="text")
add(v + "forest_regressor", "numbers", 0, RandomForestRegressor(8, max_depth=5, random_state=0), EXACT)
add(v + "extra_trees", "numbers", 2, ExtraTreesClassifier(8, max_depth=5, random_state=0), EXACT)
add(v + "boosting_2", "numbers", 2, GradientBoostingClassifier(n_estimators=12, random_state=0), EXACT)
add(v + "boosting_exponential", "numbers", 2, GradientBoostingClassifier(loss="exponential", n_estimators=12, random_state=0), 1e-15)
add(v + "boosting_3", "numbers", 3, GradientBoostingClassifier(n_estimators=6, random_state=0), 1e-15, text="text")
add(v + "boosting_zero", "numbers", 2, GradientBoostingClassifier(n_estimators=6, init="zero", random_state=0), EXACT)
add(v + "boosting_init", "numbers", 0, GradientBoostingRegressor(n_estimators=6, init=LinearRegression(), random_state=0), 1e-6)
for loss in ("squared_error", "absolute_error", "huber", "quantile"):
    add(v + "boosting_" + loss, "numbers", 0, GradientBoostingRegressor(loss=loss, n_estimators=8, random_state=0), EXACT)
add(v + "hist_2", "holes", 2, HistGradientBoostingClassifier(max_iter=10), EXACT, text="bool")
add(v + "hist_9", "holes", 9, HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=6, min_samples_leaf=5), 1e-15)
for loss in ("squared_error", "poisson", "gamma"):
    key = ("holes", 0)
    kept, TARGETS[key] = TARGETS[key], np.abs(TARGETS[key]) + 0.1
    add(v + "hist_" + loss, "holes", 0, HistGradientBoostingRegressor(loss=loss, max_iter=8), EXACT if loss == "squared_error" else 1e-15)
    TARGETS[key] = kept
add(v + "hist_categories", "mixed", 3, HistGradientBoostingClassifier(max_iter=6, categorical_features=["city", "plan", "visits"], min_samples_leaf=5), 1e-15)
add(v + "isolation", "numbers", 2, IsolationForest(n_estimators=20, random_state=0))
add(v + "isolation_features", "numbers", 2, IsolationForest(n_estimators=20, max_features=0.6, max_samples=64, contamination=0.1, random_state=0))
add(v + "ada_2", "numbers", 2, AdaBoostClassifier(n_estimators=8, random_state=0), 1e-15 if NEW else 4e-15)
add(v + "ada_3", "numbers", 3, AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=8, random_state=0), 1e-14)
add(v + "ada_linear", "numbers", 2, scaled(AdaBoostClassifier(LogisticRegression(), n_estimators=4, random_state=0)), 1e-11)
add(v + "bagging", "numbers", 3, BaggingClassifier(n_estimators=5, max_features=0.7, random_state=0), EXACT, text="text")
add(v + "bagging_regressor", "numbers", 0, BaggingRegressor(n_estimators=5, random_state=0), EXACT)

# Networks, votes, stacks, calibration.
for activation in ("relu", "tanh", "logistic"):
    add(v + "mlp_" + activation, "numbers", 2 if activation == "relu" else 3, scaled(MLPClassifier((6,), activation=activation, max_iter=40, random_state=0)))
add(v + "mlp_regressor", "numbers", 0, scaled(MLPRegressor(hidden_layer_sizes=(5, 4), max_iter=40, random_state=0)))
some = lambda: [("l", scaled(LogisticRegression())), ("t", DecisionTreeClassifier(max_depth=3, random_state=0)), ("d", "drop")]
add(v + "voting_soft", "numbers", 3, VotingClassifier(some(), voting="soft", weights=[1, 2, 5]), text="text")
add(v + "voting_hard", "numbers", 2, VotingClassifier(some()))
add(v + "voting_regressor", "numbers", 0, VotingRegressor([("a", LinearRegression()), ("b", DecisionTreeRegressor(max_depth=3, random_state=0))]))
add(v + "stacking_2", "numbers", 2, StackingClassifier(some(), cv=2, passthrough=True, final_estimator=scaled(LogisticRegression())))
add(v + "stacking_3", "numbers", 3, StackingClassifier(some()[:2] + [("s", scaled(LinearSVC()))], cv=2), text="text")
add(v + "stacking_regressor", "numbers", 0, StackingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3, random_state=0))], cv=2))
add(v + "calibrated_sigmoid", "numbers", 2, CalibratedClassifierCV(scaled(LinearSVC()), cv=2))
add(v + "calibrated_isotonic", "numbers", 3, CalibratedClassifierCV(RandomForestClassifier(5, max_depth=3, random_state=0), cv=2, method="isotonic"))
add(v + "dummy", "numbers", 3, DummyClassifier(), EXACT)
add(v + "dummy_regressor", "numbers", 0, DummyRegressor(), EXACT)

# Projections, selections, bins, powers, clusters, naive Bayes.
add(v + "pca", "numbers", 0, scaled(PCA(3)))
add(v + "pca_whiten", "numbers", 2, make_pipeline(StandardScaler(), PCA(2, whiten=True), LogisticRegression()))
add(v + "svd", "numbers", 0, scaled(TruncatedSVD(2, random_state=0)))
add(v + "polynomial", "numbers", 0, PolynomialFeatures(3), EXACT)
add(v + "polynomial_interactions", "numbers", 0, PolynomialFeatures((2, 3), interaction_only=True, include_bias=False), EXACT)
for encode in ("onehot", "ordinal", "onehot-dense"):
    add(v + "bins_" + encode, "numbers", 0, KBinsDiscretizer(4, encode=encode, strategy="quantile" if encode == "onehot" else "uniform"), EXACT)
add(v + "power", "holes", 0, PowerTransformer(), 1e-11)
add(v + "power_box_cox", "numbers", 0, make_pipeline(ColumnTransformer([("p", PowerTransformer("box-cox", standardize=False), ["ratio"])])), 1e-11)
add(v + "target_encoder", "mixed", 2, ColumnTransformer([("e", TargetEncoder(cv=2, random_state=0), ["city", "plan", "visits"])]), EXACT)
add(v + "target_encoder_3", "mixed", 3, ColumnTransformer([("e", TargetEncoder(cv=2, random_state=0), ["city", "plan"])]), EXACT)
for name, selector in {"variance": VarianceThreshold(0.2), "k_best": SelectKBest(k=2), "percentile": SelectPercentile(percentile=50), "fpr": SelectFpr(), "fdr": SelectFdr(),
                       "fwe": SelectFwe(), "rfe": RFE(Ridge(), n_features_to_select=2)}.items():
    add(v + "select_" + name, "numbers", 2, make_pipeline(selector, LogisticRegression() if name == "k_best" else DecisionTreeClassifier(max_depth=3, random_state=0)), EXACT if name != "k_best" else 1e-12)
add(v + "k_means", "numbers", 0, scaled(KMeans(4, n_init=1, random_state=0)), 1e-12)
add(v + "mini_k_means", "numbers", 0, scaled(MiniBatchKMeans(3, n_init=1, random_state=0)), 1e-12)
add(v + "bayes_gaussian", "numbers", 3, GaussianNB())
for name, model in {"multinomial": MultinomialNB(), "bernoulli": BernoulliNB(binarize=0.4), "complement": ComplementNB()}.items():
    add(v + "bayes_" + name, "numbers", 3, make_pipeline(MinMaxScaler(clip=True), model))
add(v + "target_log", "numbers", 0, TransformedTargetRegressor(Ridge(), func=np.sinh, inverse_func=np.arcsinh, check_inverse=False))
add(v + "target_scaled", "numbers", 0, TransformedTargetRegressor(Ridge(), transformer=StandardScaler()))
add(v + "one_vs_rest", "numbers", 3, OneVsRestClassifier(scaled(LogisticRegression())), text="text")
add(v + "one_vs_rest_forest", "numbers", 3, OneVsRestClassifier(RandomForestClassifier(4, max_depth=3, random_state=0)), 1e-15)

# Support vectors and neighbours.
for name, model in {
    "svc_2": SVC(), "svc_3": SVC(kernel="poly", degree=3, coef0=1), "svc_ovo": SVC(kernel="linear", decision_function_shape="ovo"), "svc_ties": SVC(break_ties=True),
    "svc_sigmoid": SVC(kernel="sigmoid"), "svc_platt_2": SVC(probability=True, random_state=0), "svc_platt_3": SVC(probability=True, random_state=0), "nu_svc": NuSVC(nu=0.3),
}.items():
    add(v + name, "numbers", 2 if name.endswith("2") else 3, scaled(model), 1e-11, text="text" if name == "svc_3" else None)
add(v + "svr", "numbers", 0, scaled(SVR()), 1e-11)
add(v + "nu_svr", "numbers", 0, scaled(NuSVR(kernel="poly")), 1e-11)
add(v + "one_class", "numbers", 0, scaled(OneClassSVM(nu=0.1)), 1e-11)
add(v + "neighbours_classifier", "numbers", 3, scaled(KNeighborsClassifier(5)), text="text")
add(v + "neighbours_distance", "numbers", 2, scaled(KNeighborsClassifier(4, weights="distance", algorithm="kd_tree")), 1e-11)
add(v + "neighbours_regressor", "numbers", 0, scaled(KNeighborsRegressor(3, weights="distance", p=1)), 1e-11)
add(v + "neighbours_minkowski", "numbers", 0, scaled(KNeighborsRegressor(3, p=3)), 1e-11)

# Others.
add(v + "qda_2", "numbers", 2, QuadraticDiscriminantAnalysis(), 1e-11)
add(v + "qda_3", "numbers", 3, QuadraticDiscriminantAnalysis(), 1e-11, text="text")
add(v + "quantile", "holes", 0, QuantileTransformer(n_quantiles=40), 1e-15)
add(v + "one_vs_one", "numbers", 3, OneVsOneClassifier(scaled(LinearSVC())))
add(v + "one_class_sgd", "numbers", 0, scaled(SGDOneClassSVM(random_state=0)))

for extrapolation in ("error", "constant", "linear", "continue", "periodic"):
    add(v + "splines_" + extrapolation, "numbers", 0, SplineTransformer(4, degree=1 if extrapolation == "continue" else 3, extrapolation=extrapolation, knots="quantile", include_bias=extrapolation != "linear", sparse_output=extrapolation == "constant"), 1e-14)
add(v + "splines_line", "numbers", 0, SplineTransformer(3, degree=1, extrapolation="linear"), 1e-14)
add(v + "quantile_normal", "holes", 0, QuantileTransformer(n_quantiles=40, output_distribution="normal"), 1e-13)
add(v + "functions_more", "numbers", 0, make_pipeline(FunctionTransformer(np.clip, kw_args={"a_min": -3, "a_max": 1e3}), FunctionTransformer(np.arctan), FunctionTransformer(np.round, kw_args={"decimals": 2}), FunctionTransformer(np.nan_to_num, kw_args={"nan": -1.0})), 1e-15)
add(v + "impute_neighbours", "holes", 0, KNNImputer(n_neighbors=3), 1e-12)
add(v + "impute_neighbours_distance", "holes", 0, KNNImputer(n_neighbors=4, weights="distance", add_indicator=True), 1e-11)
for name, selector in {
    "linear": SelectFromModel(Ridge()), "lasso": SelectFromModel(Lasso(0.01)), "forest": SelectFromModel(RandomForestRegressor(4, max_depth=4, random_state=0), threshold="1.25*median"),
    "boosting": SelectFromModel(GradientBoostingRegressor(n_estimators=5, random_state=0), max_features=2, threshold=-np.inf), "tree": SelectFromModel(DecisionTreeRegressor(max_depth=5, random_state=0), threshold="median"),
}.items():
    add(v + "select_model_" + name, "numbers", 0, make_pipeline(selector, DecisionTreeRegressor(max_depth=3, random_state=0)), EXACT)
add(v + "ada_regressor", "numbers", 0, AdaBoostRegressor(n_estimators=7, random_state=0), EXACT)
kernels = {
    "rbf": ConstantKernel(2.0) * RBF([1.0, 2.0, 1.0, 0.5, 3.0]) + WhiteKernel(0.1), "matern_05": Matern(nu=0.5) + WhiteKernel(0.1), "matern_15": Matern(nu=1.5) + WhiteKernel(0.1), "matern_25": Matern(2.0, nu=2.5) + WhiteKernel(0.1),
    "rational": RationalQuadratic(1.0, 0.7) + WhiteKernel(0.2), "dot": DotProduct(1.0) ** 2 + WhiteKernel(0.5), "sine": ExpSineSquared(2.0, 3.0) * RBF() + WhiteKernel(0.3),
}
for name, kernel in kernels.items():
    few = Pipeline([("s", StandardScaler()), ("g", GaussianProcessRegressor(kernel, optimizer=None, normalize_y=name != "dot"))])
    add(v + "process_" + name, "numbers", 0, few, 1e-10, few=60)
for classes in (2, 3):
    add(v + f"process_classifier_{classes}", "numbers", classes, scaled(GaussianProcessClassifier(1.5 * RBF(1.2), optimizer=None)), 1e-10, few=40, text="text" if classes == 3 else None)
for kind in ("full", "tied", "diag", "spherical"):
    add(v + "mixture_" + kind, "numbers", 0, scaled(GaussianMixture(3, covariance_type=kind, random_state=0)), 1e-11)
    add(v + "mixture_bayes_" + kind, "numbers", 0, scaled(BayesianGaussianMixture(n_components=3, covariance_type=kind, random_state=0, weight_concentration_prior_type="dirichlet_distribution" if kind == "diag" else "dirichlet_process")), 1e-11)
add(v + "local_outliers", "numbers", 0, scaled(LocalOutlierFactor(7, novelty=True)), 1e-11)
add(v + "neighbours_cosine", "numbers", 2, scaled(KNeighborsClassifier(3, metric="cosine")), 1e-11)
add(v + "bayes_categorical", "numbers", 3, make_pipeline(KBinsDiscretizer(4, encode="ordinal"), CategoricalNB()))
add(v + "bayes_categorical_raw", "mixed", 3, make_pipeline(ColumnTransformer([("v", "passthrough", ["visits", "active"])]), CategoricalNB()))
add(v + "several_classes", "numbers", 2, MultiOutputClassifier(DecisionTreeClassifier(max_depth=3, random_state=0)), EXACT, text="several")
add(v + "several_classes_linear", "numbers", 2, scaled(MultiOutputClassifier(LinearSVC())), text="several")
add(v + "several_values", "numbers", 0, MultiOutputRegressor(Ridge()), text="several")
add(v + "several_linear", "numbers", 0, LinearRegression(), text="several")
add(v + "several_forest", "numbers", 0, RandomForestRegressor(4, max_depth=4, random_state=0), EXACT, text="several")
add(v + "chain_classes", "numbers", 2, scaled(ClassifierChain(LogisticRegression(), order=[2, 0, 1])), text="several")
add(v + "chain_values", "numbers", 0, scaled(RegressorChain(Ridge(), order=[1, 2, 0])), text="several")
add(v + "output_code", "numbers", 9, scaled(OutputCodeClassifier(LogisticRegression(), code_size=2, random_state=0)), text="text9")
if NEW:
    add("calibrated_temperature_2", "numbers", 2, CalibratedClassifierCV(scaled(LinearSVC()), cv=2, method="temperature"))
    add("calibrated_temperature_3", "numbers", 3, CalibratedClassifierCV(RandomForestClassifier(5, max_depth=3, random_state=0), cv=2, method="temperature"))

# Texts.
vectorizers = {
    "count": CountVectorizer(), "count_binary": CountVectorizer(binary=True, ngram_range=(1, 2), stop_words="english"), "count_stops": CountVectorizer(stop_words=["the", "bad", "wait"], lowercase=False, ngram_range=(2, 3), max_features=60),
    "count_char": CountVectorizer(analyzer="char", ngram_range=(1, 2), max_features=120), "count_char_wb": CountVectorizer(analyzer="char_wb", ngram_range=(2, 4), strip_accents="ascii", max_features=150),
    "count_letters": CountVectorizer(token_pattern=r"(?u)\b[^\d\W]{2,}\b", strip_accents="unicode"), "count_any": CountVectorizer(token_pattern=r"\S+"), "count_hyphens": CountVectorizer(token_pattern=r"\b[\w'-]+\b"),
    "count_group": CountVectorizer(token_pattern=r"\b(\w\w+)\b"), "count_listed": CountVectorizer(vocabulary=["bad", "good", "naïve", "σας", "i̇stanbul"]),
    "tfidf": TfidfVectorizer(), "tfidf_plain": TfidfVectorizer(norm=None, smooth_idf=False, sublinear_tf=True), "tfidf_l1": TfidfVectorizer(norm="l1", use_idf=False, ngram_range=(1, 2), max_features=80),
    "hashing": HashingVectorizer(n_features=64), "hashing_counts": HashingVectorizer(n_features=32, alternate_sign=False, norm=None, ngram_range=(1, 3), analyzer="char_wb"), "hashing_binary": HashingVectorizer(n_features=32, binary=True, norm="l1", stop_words="english"),
}
for name, vectorizer in vectorizers.items():
    add(v + "text_" + name, "notes", 2, make_pipeline(vectorizer), 0 if name.startswith("count") or name == "hashing_counts" else 1e-15, text="note")
add(v + "text_logistic", "notes", 2, make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression()), text="note")
add(v + "text_bayes", "notes", 3, make_pipeline(CountVectorizer(), TfidfTransformer(), MultinomialNB()), text="note")
add(v + "text_columns", "notes", 3, make_pipeline(ColumnTransformer([
    ("words", TfidfVectorizer(max_features=30), "note"), ("letters", Pipeline([("count", CountVectorizer(analyzer="char", max_features=20)), ("svd", TruncatedSVD(3, random_state=0))]), "title"),
    ("rest", StandardScaler(), ["amount"])]), SGDClassifier(random_state=0)))
add(v + "text_union", "notes", 2, make_pipeline(FeatureUnion([("a", TfidfVectorizer()), ("b", HashingVectorizer(n_features=16, analyzer="char_wb", ngram_range=(3, 3)))]), MaxAbsScaler(), LinearSVC()), text="note")
add(v + "text_forest", "notes", 2, make_pipeline(CountVectorizer(max_features=20), SelectKBest(chi2, k=8), RandomForestClassifier(4, max_depth=4, random_state=0)), EXACT, text="note")
add(v + "text_support", "notes", 2, make_pipeline(TfidfVectorizer(), SVC()), 1e-11, text="note")
add(v + "sparse_coefficients", "numbers", 3, scaled(Sparse()))

if NEW:
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
    add("threshold_fixed", "numbers", 2, FixedThresholdClassifier(scaled(LogisticRegression()), threshold=0.3))
    add("threshold_tuned", "numbers", 2, TunedThresholdClassifierCV(scaled(LogisticRegression()), cv=2))
    import lightgbm
    import xgboost
    add("xgb_2", "holes", 2, xgboost.XGBClassifier(n_estimators=6, max_depth=3), EXACT)
    add("xgb_3", "holes", 3, Pipeline([("p", "passthrough"), ("x", xgboost.XGBClassifier(n_estimators=4, max_depth=3))]), 3e-7)
    add("xgb_regressor", "holes", 0, numbers(xgboost.XGBRegressor(n_estimators=6, max_depth=3)), EXACT)
    add("xgb_categories", "mixed", 2, xgboost.XGBClassifier(n_estimators=5, max_depth=4, enable_categorical=True, tree_method="hist"), EXACT, text="plan")
    add("lgbm_categories", "mixed", 0, lightgbm.LGBMRegressor(n_estimators=6, num_leaves=8, min_child_samples=5, min_data_per_group=5, cat_smooth=1, verbose=-1), EXACT, text="categories")
    add("lgbm_2", "holes", 2, lightgbm.LGBMClassifier(n_estimators=6, num_leaves=6, verbose=-1), EXACT, text="text")
    add("lgbm_3", "holes", 3, lightgbm.LGBMClassifier(n_estimators=4, num_leaves=6, verbose=-1), 1e-15, text="text")
    add("lgbm_regressor", "holes", 0, lightgbm.LGBMRegressor(n_estimators=6, num_leaves=6, verbose=-1), EXACT)
write()
