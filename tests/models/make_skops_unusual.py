"""Makes the models in skops_unusual/ and what scikit-learn answers to hostile rows: rare parameters, many outputs, one class, old versions.

    python3.11 -m venv new && new/bin/pip install scikit-learn==1.9.1 skops==0.16.0 pandas==3.1.1 imbalanced-learn xgboost-cpu lightgbm
    new/bin/python make_skops_unusual.py skops_unusual/1.9
    python3.11 -m venv old && old/bin/pip install scikit-learn==1.3.2 skops==0.9.0 'numpy<2' 'pandas<2.3' 'scipy<1.12' imbalanced-learn==0.11.0 'xgboost-cpu<3' lightgbm==4.3.0
    old/bin/python make_skops_unusual.py skops_unusual/1.3

Names after that make these models alone, beside the others. What a version cannot fit is left out and printed.
make_skops_models.py tells what the answers hold.
"""

import json
import math
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
import scipy.special
import skops.io
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import *
from sklearn.discriminant_analysis import *
from sklearn.dummy import *
from sklearn.ensemble import *
from sklearn.feature_extraction.text import *
from sklearn.impute import *
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import *
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neural_network import *
from sklearn.pipeline import *
from sklearn.preprocessing import *
from sklearn.cluster import *
from sklearn.decomposition import *
from sklearn.feature_selection import *
from sklearn.gaussian_process import *
from sklearn.gaussian_process.kernels import *
from sklearn.mixture import *
from sklearn.multiclass import *
from sklearn.multioutput import *
from sklearn.naive_bayes import *
from sklearn.neighbors import *
from sklearn.svm import *
from sklearn.tree import *

VERSION = tuple(int(x) for x in sklearn.__version__.split(".")[:2])
OUT = Path(sys.argv[1])
OUT.mkdir(parents=True, exist_ok=True)
ONLY = sys.argv[2:]
N = 160


def gen(seed):
    return np.random.default_rng(seed)


def num():
    r = gen(1)
    return pd.DataFrame({"a": r.normal(0, 1, N), "b": r.gamma(2, 10, N).round(1), "c": r.poisson(3, N).astype(float), "d": r.normal(0, 1000, N).round(2), "e": r.uniform(0, 1, N)})


def holes():
    f = num()
    r = gen(2)
    for c in "abcd":
        f.loc[r.random(N) < 0.15, c] = np.nan
    return f


def mixed():
    f = holes()
    r = gen(3)
    city = r.choice(["Bern", "Genève", "Zürich", "Ägeri", "nan", ""], N, p=[0.4, 0.25, 0.15, 0.1, 0.05, 0.05]).astype(object)
    city[r.random(N) < 0.1] = None
    f["city"] = pd.Series(city, dtype=object)
    f["plan"] = pd.Series(r.choice(["basic", "pro", "team"], N, p=[0.6, 0.3, 0.1]).astype(object), dtype=object)
    f["visits"] = r.choice([0, 1, 2, 5, 9], N)
    f["active"] = r.random(N) < 0.5
    return f


def small():  # scaled for kernels
    r = gen(4)
    return pd.DataFrame({k: r.normal(0, 1, N) for k in "abcd"})


def pos():
    r = gen(5)
    return pd.DataFrame({k: r.poisson(2 + i, N).astype(float) for i, k in enumerate("abcd")})


def ints():
    r = gen(6)
    return pd.DataFrame({k: r.integers(-3 * (i + 1), 9, N) for i, k in enumerate("abcd")})


W = "the quick brown fox isn't slow 12 a3 _x naïve café Straße ΣΑΣ İstanbul e-mail don't über ½ x² 北京 ПРИВЕТ good bad ugly late refund order, broken. thanks again invoice paid".split()


def notes():
    r = gen(7)
    t = lambda: " ".join(r.choice(W, int(r.integers(1, 12))))
    return pd.DataFrame({"note": pd.Series([t() for _ in range(N)], dtype=object), "title": pd.Series([t() for _ in range(N)], dtype=object), "amount": r.normal(0, 10, N).round(2)})


SETS = {k: globals()[k]() for k in ("num", "holes", "mixed", "small", "pos", "ints", "notes")}
EXT = [0.0, -0.0, 1e-45, -1e-300, 3.4e38, -3.4e38, 1e39, 1e300, 16777217.0, math.inf, -math.inf, math.nan, math.nan, 1e6, -1e6, -5.0, 1e12]
TX = [
    "",
    " ",
    "a",
    "The QUICK\u2003 brown\tfox\x1c\x1dend  x",
    "e\u0301te\u0301 cafe\u0301",
    "ΟΔΟΣ ΣΑΣ. ΣΑΣ",
    "İSTANBUL Iı ß ẞ",
    "ﬁne ½ Ⅷ ² x²",
    "क्षि हिन्दी",
    "北京 ПРИВЕТ",
    "a_b __ 1_000",
    "don't isn't e-mail",
    "x\u200dy z\u00a0w",
    "bad bad bad",
    None,
    "wait WAIT 2024-01-02",
    "a" * 200,
    "ǅ ŉ ΐ",
    "order, broken. thanks",
]


def rows(name):
    f = SETS[name]
    r = gen(9)
    out = []
    for i in range(44):
        row = f.iloc[int(r.integers(N))].to_dict()
        if i % 2:
            c = f.columns[int(r.integers(len(f.columns)))]
            if c in ("city", "plan"):
                row[c] = [None, "Basel", "", "basic ", "nan", "Genève"][int(r.integers(6))]
            elif c in ("note", "title"):
                row[c] = TX[(i // 2) % len(TX)]
            elif c == "visits":
                row[c] = int(r.choice([3, 9, -1]))
            elif c == "active":
                pass
            elif name == "ints":
                row[c] = int(r.choice([0, 100, -100, 2**31, 3, 10**12]))
            else:
                row[c] = EXT[int(r.integers(len(EXT)))]
        out.append(row)
    return out


ROWS = {k: rows(k) for k in SETS}


def target(name, k):
    f = SETS[name]
    r = gen(11)
    if name == "notes":
        base = f["note"].str.count("bad|ugly|broken") - f["note"].str.count("good|thanks") + f["amount"] / 20
    else:
        base = np.nan_to_num(f.iloc[:, 0]) + np.nan_to_num(f.iloc[:, 1]) / (30 if name in ("num", "holes", "mixed") else 2)
    y = np.asarray(base + r.normal(0, 0.4, N))
    return y if k == 0 else np.digitize(y, np.quantile(y, [i / k for i in range(1, k)]))


def labels(y, kind):
    if kind == "text":
        return np.array([f"class {v}" for v in y])
    if kind == "object":
        return np.array([["low", "high", "mid", "zz"][v] for v in y], dtype=object)
    if kind == "bool":
        return y == 1
    if kind == "float":
        return y * 2.0 - 1
    if kind == "neg":
        return y * 2 - 1
    if kind == "int8":
        return (y * 3 + 1).astype(np.int8)
    if kind == "u":
        return y.astype(np.uint64) + 7
    if kind == "one":
        return np.full(len(y), "only")
    if kind == "count":
        return np.maximum(np.round(y + 2), 0)
    if kind == "positive":
        return np.exp(y / 3)
    if kind == "unit":
        return 1 / (1 + np.exp(-y))
    if kind == "three":
        return np.column_stack([y, (gen(12).random(N) < 0.5).astype(int), gen(13).integers(0, 3, N)])
    if kind == "threetext":
        return np.column_stack([np.array(["n", "y", "z"])[y], np.array(["p", "q"])[(gen(12).random(N) < 0.5).astype(int)]])
    if kind == "ml":
        return np.column_stack([(y > 0).astype(int), (gen(12).random(N) < 0.4).astype(int), (y > 1).astype(int) if y.max() > 1 else (gen(14).random(N) < 0.2).astype(int)])
    if kind == "values":
        return np.column_stack([y, np.sin(y), y**2])
    if kind == "onecol":
        return y.reshape(-1, 1)
    return y


def plain(v):
    if v is None or isinstance(v, (bool, np.bool_, str)):
        return bool(v) if isinstance(v, np.bool_) else v
    v = float(v) if not float(v).is_integer() or math.copysign(1, v) < 0 or abs(v) > 2**53 else int(v)
    if isinstance(v, float) and math.isnan(v):
        return None
    return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(v, v)


def shown(l):
    if isinstance(l, (bool, np.bool_)):
        return "true" if l else "false"
    return str(l)


def flat(n):
    if isinstance(n, list):
        return np.concatenate([np.asarray(a, dtype=float).ravel() for a in n])
    if sp.issparse(n):
        n = n.toarray()
    return np.asarray(n, dtype=float).ravel()


def answer(model, s, row, form, cols, cats):
    try:
        f = pd.DataFrame([row], columns=list(row))
        for c in ("city", "plan", "note", "title"):
            if c in f:
                f[c] = pd.Series([row[c]], dtype=object)
        f = f[cols]
        for c in cats:
            f[c] = pd.Categorical(f[c], categories=cats[c])
        if form == "array":
            f = f.to_numpy(dtype=float)
        if form == "objarray":
            f = f.to_numpy(dtype=object)
        if form == "list":
            f = [row[cols[0]]]
        if form == "labels":
            f = np.array([row[cols[0]]])
        if form == "column":
            f = f[cols[0]].to_numpy(dtype=float)
        out = {}
        last = model
        while True:
            if hasattr(last, "steps"):
                last = last[-1]
            elif hasattr(last, "best_estimator_"):
                last = last.best_estimator_
            else:
                break
        if not hasattr(model, "predict"):
            nums = model.transform(f)
        else:
            lab = model.predict(f)
            lab = lab.toarray() if sp.issparse(lab) else np.asarray(lab)
            clus = hasattr(last, "cluster_centers_")
            several = lab.ndim == 2 and lab.shape[1] > 1
            if not several and (hasattr(model, "classes_") or hasattr(last, "offset_") or clus or hasattr(last, "covariance_type")):
                out["label"] = shown(lab.ravel()[0])
            elif several and (hasattr(model, "classes_") or hasattr(model, "predict_proba")):
                out["labels"] = [shown(x) for x in lab.ravel()]
            nums = None
            if hasattr(model, "predict_proba"):
                nums = model.predict_proba(f)
            elif clus:
                nums = model.transform(f)
            elif hasattr(model, "decision_function"):
                nums = model.decision_function(f)
            elif "label" not in out:
                try:
                    nums = flat(lab)
                except ValueError:
                    pass
        if nums is not None:
            out["numbers"] = [None if math.isnan(x) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(x, x) for x in flat(nums).tolist()]
        return out
    except Exception as e:
        return {"error": (type(e).__name__ + ": " + str(e)).splitlines()[0][:110]}


models = {}
failed = {}
GOLDEN = OUT / "answers.golden.json"
if ONLY:
    models = json.loads(GOLDEN.read_text())["models"]
data = {k: {"columns": list(SETS[k].columns), "rows": [[plain(v) for v in r.values()] for r in ROWS[k]]} for k in SETS}


def add(name, s, k, model, lab=None, tol=1e-12, form="frame", cols=None, cats=(), train=None, few=None, weights=None, **fit):
    if ONLY and name not in ONLY:
        return
    try:
        f = SETS[s].copy()
        cols = list(cols or f.columns)
        f = f[cols]
        y = labels(target(s, k), lab)
        known = {}
        for c in cats:
            f[c] = pd.Categorical(f[c])
            known[c] = f[c].cat.categories
        x = f
        if form == "array":
            x = f.to_numpy(dtype=float)
        if form == "objarray":
            x = f.to_numpy(dtype=object)
        if form == "list":
            x = list(f[cols[0]])
        if form == "column":
            x = f[cols[0]].to_numpy(dtype=float)
        if train == "sparse":
            x = sp.csr_matrix(x)
        if train == "f32":
            x = x.astype(np.float32)
        if weights:
            fit["sample_weight"] = gen(20).random(N)[:few]
        if form == "labels":
            model.fit(f[cols[0]].to_numpy())
        else:
            model.fit(x[:few], y[:few], **fit)
        with warnings.catch_warnings():
            skops.io.dump(model, OUT / f"{name}.skops", compression=zipfile.ZIP_DEFLATED)
        answers = [answer(model, s, r, form, cols, known) for r in ROWS[s]]
        if "neighbours" in name:
            # Far away from all points distances are equal, and which of them count is not defined.
            for at, row in enumerate(ROWS[s]):
                if "error" not in answers[at] and max(abs(value) for value in row.values()) > 1e9:
                    answers[at] = {"undefined": True}
        models[name] = {"data": s, "tolerance": tol, "features": cols, "answers": answers}
        failed.pop(name, None)
    except Exception as e:
        failed[name] = (type(e).__name__ + ": " + str(e)).splitlines()[0][:150]


def logistic(**more):
    return LogisticRegression(max_iter=300, **more)


def columns(*parts, **more):
    return ColumnTransformer(list(parts), **more)


# Text that is filled in, or not: None stays where an imputer of NaN looks at it.
add("impute_text_frequent", "mixed", 0, make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), cols=["city", "plan"])
add(
    "impute_text_none",
    "mixed",
    0,
    make_pipeline(SimpleImputer(strategy="most_frequent", missing_values=None), OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
    cols=["city", "plan"],
)
add("impute_text_constant", "mixed", 0, make_pipeline(SimpleImputer(strategy="constant", fill_value="leer", add_indicator=True), OneHotEncoder(handle_unknown="ignore")), cols=["city"])
add("impute_text_mark", "mixed", 0, make_pipeline(SimpleImputer(strategy="constant", fill_value="leer", missing_values=""), OneHotEncoder(handle_unknown="ignore")), cols=["plan"])
add("indicator_text", "mixed", 0, MissingIndicator(missing_values=None), cols=["city", "plan"])
add(
    "nested_text",
    "mixed",
    3,
    make_pipeline(
        columns(
            ("p", make_pipeline(columns(("i", SimpleImputer(strategy="most_frequent"), ["city"])), OneHotEncoder(handle_unknown="ignore")), ["city", "plan"]),
            ("q", make_pipeline(SimpleImputer(), PolynomialFeatures(2)), ["a", "b"]),
        ),
        logistic(),
    ),
    lab="object",
    tol=1e-10,
)
# Encoders refuse infinite numbers.
add("onehot_numbers", "pos", 0, OneHotEncoder(handle_unknown="ignore", min_frequency=5))
add("onehot_holes", "holes", 0, OneHotEncoder(handle_unknown="ignore"), cols=["c"])
add("ordinal_holes", "holes", 0, OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), cols=["c"])
add("bins_single", "num", 0, KBinsDiscretizer(3, encode="ordinal", strategy="uniform", dtype=np.float32), tol=1e-7)
for name in ("isnan", "isfinite", "isinf", "signbit", "logical_not", "positive", "deg2rad", "degrees", "arccosh", "arctanh", "sinc", "nan_to_num", "round"):
    add("function_" + name, "holes", 0, FunctionTransformer(getattr(np, name)), tol=1e-13)
add("function_logit", "num", 0, FunctionTransformer(scipy.special.logit), tol=1e-13)
if VERSION >= (1, 8):
    add("spline_missing", "holes", 0, SplineTransformer(handle_missing="zeros"), tol=1e-11)
# Selectors look at nothing where what they select by takes missing values.
add("variance", "holes", 0, VarianceThreshold(0.5))
add("select_fdr", "num", 0, make_pipeline(GenericUnivariateSelect(f_regression, mode="fdr", param=0.2), LinearRegression()))
add("select_forest", "num", 2, make_pipeline(SelectFromModel(RandomForestClassifier(5, random_state=0), threshold="1.25*median"), logistic()))
add("select_ada", "num", 2, make_pipeline(SelectFromModel(AdaBoostClassifier(n_estimators=5, random_state=0)), logistic()))
add("select_sequential", "num", 0, make_pipeline(SequentialFeatureSelector(Ridge(), n_features_to_select=2), Ridge()))
add("rfe", "num", 3, RFE(RandomForestClassifier(3, max_depth=4, random_state=1), n_features_to_select=3), lab="text", tol=0)
add("rfecv", "num", 0, RFECV(Ridge(), cv=3, min_features_to_select=2))
add("rfe_step", "num", 2, make_pipeline(RFE(DecisionTreeClassifier(max_depth=3, random_state=0), n_features_to_select=0.6), logistic()))
add("incremental_pca", "small", 0, IncrementalPCA(3, whiten=True))
add("discriminant_step", "small", 3, make_pipeline(LinearDiscriminantAnalysis(n_components=1), logistic()), tol=1e-10)
add("clusters_step", "small", 2, make_pipeline(KMeans(4, n_init=2, random_state=0), logistic()), tol=1e-9)
add("isotonic_nan", "small", 0, IsotonicRegression(out_of_bounds="nan"), cols=["a"])
add("isotonic_raise", "small", 0, IsotonicRegression(out_of_bounds="raise", increasing="auto"), cols=["b"], form="column")
# Linear classifiers by stochastic gradients, whose losses skops 0.9 writes in a node of their own.
for loss in ("hinge", "log_loss", "modified_huber"):
    for count in (2, 3):
        add(f"gradients_{loss}_{count}", "small", count, SGDClassifier(loss=loss, random_state=0), lab=[None, None, "text", "object"][count], tol=1e-11)
add("perceptron", "small", 3, Perceptron(), lab="text")
add("passive_aggressive", "small", 3, PassiveAggressiveClassifier(random_state=0), lab="text")
add("passive_aggressive_regressor", "small", 0, PassiveAggressiveRegressor(random_state=0))
# Several outputs.
for name, model in {
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "forest": RandomForestClassifier(5, max_depth=4, random_state=0),
    "extra": ExtraTreesClassifier(5, max_depth=4, random_state=0),
}.items():
    add(f"outputs_{name}", "num", 3, model, lab="three", tol=1e-15)
    add(f"outputs_{name}_text", "num", 3, model, lab="threetext", tol=1e-15)
add("outputs_neighbours", "small", 3, KNeighborsClassifier(5), lab="three")
add("labels_network", "small", 3, MLPClassifier((4,), max_iter=30, random_state=0), lab="ml")
add("labels_rest", "small", 3, OneVsRestClassifier(logistic()), lab="ml", tol=1e-11)
add("labels_rest_decisions", "small", 3, OneVsRestClassifier(LinearSVC()), lab="ml")
add("labels_chain_decisions", "small", 3, ClassifierChain(LinearSVC()), lab="ml")
# One class against others.
for count in (2, 3):
    add(f"pairs_{count}", "small", count, OneVsOneClassifier(LinearSVC()), lab="text", tol=1e-11)
    add(f"pairs_tree_{count}", "num", count, OneVsOneClassifier(DecisionTreeClassifier(max_depth=3, random_state=0)), tol=1e-11)
    add(f"pairs_regressor_{count}", "small", count, OneVsOneClassifier(Ridge()), tol=1e-11)
add("rest_regressor", "small", 3, OneVsRestClassifier(Ridge()))
add("rest_tree", "num", 3, OneVsRestClassifier(DecisionTreeClassifier(max_depth=2, random_state=0)), lab="object", tol=1e-15)
add("code_tree", "num", 3, OutputCodeClassifier(DecisionTreeClassifier(max_depth=4, random_state=0), code_size=3, random_state=0), lab="neg")
add("code_constant", "small", 4, OutputCodeClassifier(logistic(), code_size=2, random_state=0), lab="text")
# What old versions compute otherwise.
if VERSION < (1, 8):
    for count in (2, 3):
        add(f"ada_samme_{count}", "num", count, AdaBoostClassifier(n_estimators=6, algorithm="SAMME", random_state=0))
        add(f"logistic_rest_{count}", "small", count, logistic(multi_class="ovr"), tol=1e-11)
    add("logistic_together", "small", 2, logistic(multi_class="multinomial"), tol=1e-11)
add("ada_regressor", "num", 0, AdaBoostRegressor(n_estimators=4, random_state=0), tol=0)
add("forest_bool", "num", 2, RandomForestClassifier(3, max_depth=3, random_state=0), lab="bool", tol=0)
add("forest_poisson", "num", 0, RandomForestRegressor(3, criterion="poisson", max_depth=4, random_state=0), lab="positive", tol=0)
for name, count in (("tree", 3), ("float", 3)):
    add(f"tree_labels_{name}", "holes", count, DecisionTreeClassifier(max_depth=4, random_state=0), lab="neg" if name == "tree" else "float", tol=1e-15)
add("boosting_3", "num", 3, GradientBoostingClassifier(n_estimators=4, random_state=0), lab="text")
add("hist_categories", "pos", 2, HistGradientBoostingClassifier(max_iter=6, categorical_features=[True, False, True, False], min_samples_leaf=5), lab="bool", tol=1e-15)
add("hist_3", "holes", 3, HistGradientBoostingClassifier(max_iter=4, max_leaf_nodes=5), lab="text", tol=1e-15)
add("isolation", "num", 0, IsolationForest(n_estimators=8, max_samples=0.5, max_features=0.4, random_state=0), tol=1e-13)
add("calibrated_isotonic", "num", 3, CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2), tol=1e-11)
add("vectors_polynomial", "small", 3, SVC(kernel="poly", degree=2, coef0=0.5, gamma=0.3, probability=True, random_state=0), lab="text", tol=1e-10)
add("process_3", "small", 3, GaussianProcessClassifier(RBF(2.0)), few=40, tol=1e-9)
add("tfidf", "notes", 3, make_pipeline(TfidfVectorizer(max_features=20), logistic()), form="list", cols=["note"], lab="text")
for index, pattern in enumerate(
    [r"\w+|\S", r"\w+?\b", r"[a-z]+|\d+", r"(?:\w|-)+", r"(?u)\b\w\w+\b|!|\?|\"|\'", r"\w+(?:'\w+)?", r"[a-z]+(?:-[a-z]+)*", r"\b(\w)\w*\b", r"[\w.]+@?\w*", r"#\w+|\w+", r"\b\w\b|\w\w"]
):
    add(f"pattern_{index}", "notes", 0, CountVectorizer(token_pattern=pattern, max_features=40), form="list", cols=["note"])
for metric in ("canberra", "braycurtis", "sqeuclidean"):
    add(f"neighbours_{metric}", "small", 3, KNeighborsClassifier(4, metric=metric, weights="distance"), tol=1e-9)
add("neighbours_variances", "small", 2, KNeighborsClassifier(3, metric="seuclidean", metric_params={"V": np.array([1.0, 2, 3, 4])}), tol=1e-9)
add("neighbours_weights", "small", 2, KNeighborsClassifier(3, metric="minkowski", metric_params={"w": np.array([1.0, 2, 3, 4])}), tol=1e-9)
# Labels, which are no rows.
add("label_encoder", "mixed", 0, LabelEncoder(), cols=["plan"], form="labels")
add("label_binarizer", "mixed", 0, LabelBinarizer(neg_label=-1, pos_label=2), cols=["plan"], form="labels")
add("label_binarizer_2", "mixed", 0, LabelBinarizer(), cols=["active"], form="labels")
# Other libraries.
import lightgbm
import xgboost
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline as Balanced
from imblearn.under_sampling import RandomUnderSampler

add("xgboost_missing", "pos", 2, xgboost.XGBClassifier(n_estimators=3, max_depth=3, missing=0), tol=1e-6)
add("xgboost_ranker", "small", 3, xgboost.XGBRanker(n_estimators=3, max_depth=3), tol=1e-6, qid=np.repeat(np.arange(16), 10))
add("lightgbm_ranker", "small", 3, lightgbm.LGBMRanker(n_estimators=3, verbose=-1, min_child_samples=5), group=[10] * 16)
add(
    "balanced_first",
    "mixed",
    2,
    Balanced([("s", RandomOverSampler(random_state=0)), ("t", columns(("o", OneHotEncoder(handle_unknown="ignore"), ["plan"]), ("n", SimpleImputer(), ["a"]))), ("c", logistic())]),
    tol=1e-11,
)
add("balanced_forest", "num", 3, Balanced([("s", RandomUnderSampler(random_state=0)), ("t", StandardScaler()), ("c", RandomForestClassifier(3, max_depth=4, random_state=0))]), lab="neg", tol=0)
GOLDEN.write_text(json.dumps({"data": data, "models": models}, ensure_ascii=False, separators=(",", ":")) + "\n")
print(len(models), "models of scikit-learn", sklearn.__version__)
for name, error in failed.items():
    print("left out:", name, error)
