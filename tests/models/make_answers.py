"""Make the models of answers/: what their outputs mean is not what it looks like.

    python make_answers.py              # everything
    python make_answers.py NAME [NAME]  # only these
    python make_answers.py --into FOLDER  # elsewhere, for E2I_ANSWERS=FOLDER cargo test -p e2i_onnx --test answers

Every model comes with a NAME.json:

- `made_by`; `file`: the model beside it; `register`: options of e2i_register_model;
- `rows`: features by position;
- `classes`, `label`, `prediction`, `probabilities`, `vector`: what the training library answers, one entry a
  row, in the order of the library's classes. A key that is null: the function must refuse the model.

Numbers come from the training library, or from numpy in float64 for graphs built by hand, never from ONNX Runtime.
"""

import json
import sys
import warnings
from pathlib import Path

import catboost
import lightgbm as lgb
import numpy as np
import sklearn
import xgboost as xgb
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.multiclass import OneVsOneClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.preprocessing import OrdinalEncoder
from sklearn.svm import SVC

from fixtures import HERE

OUT = HERE / "answers"
SKLEARN = f"scikit-learn {sklearn.__version__}"
NUMPY = f"numpy {np.__version__} (by hand)"
ROWS = 12
warnings.filterwarnings("ignore")


def data(classes, names=None, seed=0):
    """A few rows of four features, exact in float32, and their classes by name."""
    x, y = make_classification(
        60, 4, n_informative=3, n_redundant=0, n_classes=classes, n_clusters_per_class=1, random_state=seed
    )
    x = np.round(x * 64) / 64
    return x.astype(np.float32), y if names is None else np.array(names)[y]


def listed(values):
    return None if values is None else np.asarray(values).tolist()


def write(name, content, made_by, x, classes=None, label=None, prediction=None, probabilities=None, vector=None,
          tolerance=1e-5, ending="onnx", file=None, **register):
    """`file`: the same model as of another name."""
    OUT.mkdir(exist_ok=True)
    data = content if isinstance(content, bytes) else content.SerializeToString()
    if file is None:
        (OUT / f"{name}.{ending}").write_bytes(data)
    spec = {
        "made_by": made_by, "file": f"{file or name}.{ending}", "register": register, "tolerance": tolerance,
        "classes": None if classes is None else [str(c) for c in classes],
        "label": None if label is None else [str(v) for v in label],
        "prediction": listed(prediction), "probabilities": listed(probabilities), "vector": listed(vector),
        "rows": np.asarray(x, dtype=float).tolist(),
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in spec.items()]
    (OUT / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{name}: {len(data)} bytes")


def classifier(name, model, x, y, options=None, margin=False, **register):
    """A classifier of scikit-learn; with `margin` its numbers are no probabilities, and predicted where that is stated."""
    model.fit(x, y)
    graph = to_onnx(model, x[:1], options={id(model): {"zipmap": False} | (options or {})}, target_opset=17)
    x = x[:ROWS]
    numeric = np.issubdtype(model.classes_.dtype, np.number)
    many = len(model.classes_) > 2
    if margin:
        scores = model.decision_function(x)
        vector = scores if scores.ndim == 2 else np.stack([-scores, scores], axis=1)
        stated = scores if "class_scores" in register else None
        prediction = stated if not many else model.predict(x) if numeric else None
        probabilities = None
    else:
        vector = probabilities = model.predict_proba(x)
        prediction = probabilities[:, 1] if not many else model.predict(x) if numeric else None
    write(name, graph, f"{SKLEARN} {type(model).__name__}", x, model.classes_, model.predict(x), prediction,
          probabilities, vector, **register)


def cat(name, names, rename=None):
    x, y = data(2, names)
    model = catboost.CatBoostClassifier(iterations=3, depth=2, verbose=False, allow_writing_files=False).fit(x, y)
    path = OUT / f"{name}.onnx"
    OUT.mkdir(exist_ok=True)
    model.save_model(str(path), format="onnx")
    x = x[:ROWS]
    p, label, classes = model.predict_proba(x), model.predict(x).ravel(), model.classes_
    register = {}
    if rename:
        label, classes = [rename[list(classes).index(v)] for v in label], rename
        register = {"class_labels": rename}
    write(name, path.read_bytes(), f"CatBoost {catboost.__version__}", x, classes, label, p[:, 1], p, p, **register)


def build(nodes, outputs, constants=(), width=2, kind=TensorProto.FLOAT):
    inputs = [helper.make_tensor_value_info("x", kind, ["N", width])]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info(*o) for o in outputs],
                              [numpy_helper.from_array(v, n) for n, v in constants])
    model = helper.make_model(graph, producer_name="e2i_serve tests",
                              opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)])
    model.ir_version = 8
    return model


def node(operator, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs, outputs, **attributes)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


HAND = np.array([[0, 2], [3, 0], [0.5, 0.25], [-1, -2], [0.25, 0.5], [-4, 7]])


# --- labels ------------------------------------------------------------------------------------------------------------


def catboost_labels():
    """Of two classes that both have weights ONNX Runtime answers 0 and 1, whatever they are called."""
    cat("catboost_1_2", [1, 2])
    cat("catboost_minus_1_1", [-1, 1])
    cat("catboost_5_7", [5, 7])
    cat("catboost_renamed", [10, 20], rename=["no", "yes"])
    cat("catboost_text", ["stay", "churn"])


def trees_by_hand():
    """Weights of both classes that are probabilities: ONNX Runtime says the second class for every row."""
    leaves = np.array([[0.75, 0.25], [0.375, 0.625]])
    x = np.array([[0.0, 0], [1.0, 0], [0.25, 5]])
    p = leaves[(x[:, 0] > 0.5).astype(int)]
    for name, labels, kind in [
        ("trees_both_classes", {"classlabels_int64s": [5, 7]}, TensorProto.INT64),
        ("trees_both_classes_text", {"classlabels_strings": ["no", "yes"]}, TensorProto.STRING),
    ]:
        classes = list(labels.values())[0]
        trees = node("TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml",
                     nodes_treeids=[0] * 3, nodes_nodeids=[0, 1, 2], nodes_featureids=[0] * 3,
                     nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_values=[0.5, 0.0, 0.0],
                     nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0],
                     class_treeids=[0] * 4, class_nodeids=[1, 1, 2, 2], class_ids=[0, 1, 0, 1],
                     class_weights=leaves.ravel().tolist(), post_transform="NONE", **labels)
        label = [classes[i] for i in p.argmax(axis=1)]
        write(name, build([trees], [("label", kind, ["N"]), ("scores", TensorProto.FLOAT, ["N", 2])]), NUMPY, x,
              classes, label, p[:, 1], p, p)
        if kind == TensorProto.INT64:
            write("trees_label_only", build([trees], [("label", kind, ["N"])]), NUMPY, x, classes, label, p[:, 1], p, p)


def odd_labels():
    """The neighbours, which were right: other classifiers of two odd classes."""
    x, y = data(2, [5, 7])
    classifier("forest_5_7", RandomForestClassifier(3, max_depth=2, random_state=0), x, y)
    classifier("logistic_5_7", LogisticRegression(), x, y)
    x, y = data(2, [1.0, 2.0])
    classifier("boosting_floats", GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=0), x,
               y.astype(int))


# --- one output a class ------------------------------------------------------------------------------------------------


def columns():
    """options={'zipmap': 'columns'}."""
    apart = {"zipmap": "columns"}
    classifier("columns_text", LogisticRegression(), *data(2, ["no", "yes"]), apart)
    classifier("columns_forest", RandomForestClassifier(3, max_depth=2, random_state=0), *data(2, [5, 7]), apart)
    classifier("columns_three", LogisticRegression(), *data(3, [3, 4, 5]), apart)
    classifier("columns_three_text", RandomForestClassifier(3, max_depth=2, random_state=0),
               *data(3, ["a", "b", "c"]), apart)


def columns_by_hand():
    """Split of a Softmax, in another order of outputs than of classes; columns that are computed apart."""
    x = HAND
    p = softmax(x)
    label = ("label", TensorProto.INT64, ["N"])
    first, second = ("i0", TensorProto.FLOAT, ["N", 1]), ("i1", TensorProto.FLOAT, ["N", 1])
    argmax = node("ArgMax", ["x"], ["label"], axis=1, keepdims=0)
    split = [argmax, node("Softmax", ["x"], ["p"], axis=1), node("Split", ["p"], ["i0", "i1"], axis=1)]
    answers = dict(classes=[0, 1], label=x.argmax(axis=1), prediction=p[:, 1], probabilities=p, vector=p)
    write("columns_split", build(split, [label, first, second]), NUMPY, x, **answers)
    write("columns_split_reversed", build(split, [label, second, first]), NUMPY, x, **answers)
    one = np.array([[0.0, 1.0]], dtype=np.float32)
    d = x[:, 1] - x[:, 0]
    q = np.stack([1 - sigmoid(d), sigmoid(d)], axis=1)
    weights, unit = np.array([[-1.0], [1.0]], dtype=np.float32), np.array([1.0], dtype=np.float32)
    apart = [node("MatMul", ["x", "w"], ["d"]), node("Sigmoid", ["d"], ["p_yes"]),
             node("Sub", ["one", "p_yes"], ["p_no"]), node("Greater", ["p_yes", "half"], ["is"]),
             node("Cast", ["is"], ["index"], to=TensorProto.INT64), node("Squeeze", ["index", "axis"], ["flat"]),
             node("ArrayFeatureExtractor", ["names", "flat"], ["row"], domain="ai.onnx.ml"),
             node("Reshape", ["row", "list"], ["label"])]
    constants = [("w", weights), ("one", unit), ("half", np.array([0.5], dtype=np.float32)),
                 ("axis", np.array([1])), ("list", np.array([-1])), ("names", np.array(["no", "yes"], dtype=object))]
    del one
    outputs = [("label", TensorProto.STRING, ["N"]), ("p_yes", TensorProto.FLOAT, ["N", 1]),
               ("p_no", TensorProto.FLOAT, ["N", 1])]
    names = np.array(["no", "yes"])
    write("columns_apart", build(apart, outputs, constants), NUMPY, x, ["no", "yes"],
          names[(q[:, 1] > 0.5).astype(int)], q[:, 1], q, q)


# --- numbers that are no probabilities ---------------------------------------------------------------------------------


def margins():
    two, three = data(2, ["no", "yes"]), data(3)
    classifier("svc", SVC(), *two, margin=True)
    classifier("svc_margin", SVC(), *two, margin=True, file="svc", class_scores="margin")
    classifier("svc_three", SVC(), *three, margin=True)
    classifier("perceptron", Perceptron(random_state=0), *two, margin=True)
    classifier("hinge", SGDClassifier(random_state=0), *two, margin=True)
    classifier("raw_scores", LogisticRegression(), *two, {"raw_scores": True}, margin=True)
    classifier("raw_boosting", GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=0), *two,
               {"raw_scores": True}, margin=True)
    # Its estimators know two classes each.
    classifier("one_vs_one", OneVsOneClassifier(LogisticRegression()), *three, margin=True)
    # Its label is a place, which class_labels names.
    x, y = three
    model = OneVsOneClassifier(LogisticRegression()).fit(x, y)
    graph = to_onnx(model, x[:1], options={id(model): {"zipmap": False}}, target_opset=17)
    names = np.array(["low", "mid", "high"])
    write("one_vs_one_named", graph, f"{SKLEARN} OneVsOneClassifier", x[:ROWS], names, names[model.predict(x[:ROWS])],
          vector=model.decision_function(x[:ROWS]), file="one_vs_one", class_labels=names.tolist())
    classifier("ridge_three", RidgeClassifier(), *three, margin=True)
    # Its graph states two numbers and gives one.
    x, y = two
    model = RidgeClassifier().fit(x, y)
    graph = to_onnx(model, x[:1], options={id(model): {"zipmap": False}}, target_opset=17)
    x = x[:ROWS]
    write("ridge", graph, f"{SKLEARN} RidgeClassifier", x, model.classes_, model.predict(x),
          vector=model.decision_function(x)[:, None])


def raw_scores_stated():
    """Raw scores of a logistic regression are logits: with class_scores the probabilities are right again."""
    x, y = data(2, ["no", "yes"])
    model = LogisticRegression().fit(x, y)
    graph = to_onnx(model, x[:1], options={id(model): {"zipmap": False, "raw_scores": True}}, target_opset=17)
    x = x[:ROWS]
    p, d = model.predict_proba(x), model.decision_function(x)
    write("raw_scores_logit", graph, f"{SKLEARN} LogisticRegression", x, model.classes_, model.predict(x), p[:, 1], p,
          np.stack([-d, d], axis=1), class_scores="logit", file="raw_scores")


def logits():
    """What torch.onnx.export writes of a network without its last function."""
    x = HAND
    w = np.array([[1.0, -1.0, 0.5], [-0.5, 2.0, 0.25]], dtype=np.float32)
    for count in (1, 2, 3):
        z = x @ w[:, :count].astype(float)
        graph = build([node("Gemm", ["x", "w"], ["logits"])], [("logits", TensorProto.FLOAT, ["N", count])],
                      [("w", w[:, :count])])
        several = "multiclass_classification" if count > 2 else "binary_classification"
        best = (z[:, 0] > 0).astype(int) if count == 1 else z.argmax(axis=1)
        p = softmax(z) if count > 1 else np.concatenate([1 - sigmoid(z), sigmoid(z)], axis=1)
        classes = list(range(max(2, count)))
        number = best if count > 2 else None
        margin = {1: z[:, 0], 2: z[:, -1] - z[:, 0], 3: best}[count]
        made = dict(classes=classes, vector=z, task=several)
        write(f"logit_{count}", graph, NUMPY, x, label=best if count > 1 else None, prediction=number, **made)
        write(f"logit_{count}_stated", graph, NUMPY, x, label=best, prediction=best if count > 2 else p[:, 1],
              probabilities=p, class_scores="logit", file=f"logit_{count}", **made)
        write(f"logit_{count}_margin", graph, NUMPY, x, label=best, prediction=margin, class_scores="margin",
              file=f"logit_{count}", **made)


def linear_classifier():
    """LinearClassifier of one row of coefficients, without a post transform: {1 - m, m}, with the border at m = 0."""
    x = HAND
    m = x @ np.array([0.25, 0.5])
    graph = build([node("LinearClassifier", ["x"], ["label", "probabilities"], domain="ai.onnx.ml",
                        coefficients=[0.25, 0.5], intercepts=[0.0], classlabels_ints=[5, 7], post_transform="NONE")],
                  [("label", TensorProto.INT64, ["N"]), ("probabilities", TensorProto.FLOAT, ["N", 2])])
    label = np.where(m > 0, 7, 5)
    both = np.stack([1 - m, m], axis=1)
    write("linear_classifier", graph, NUMPY, x, [5, 7], label, vector=both)
    p = np.stack([sigmoid(-m), sigmoid(m)], axis=1)
    write("linear_classifier_logit", graph, NUMPY, x, [5, 7], label, p[:, 1], p, both, class_scores="logit",
          file="linear_classifier")


def own_objective():
    """A booster of an objective of one's own predicts raw sums."""
    x, y = data(2)

    def binary(predictions, train):
        p = sigmoid(predictions)
        return p - train.get_label(), p * (1 - p)

    booster = lgb.train({"objective": binary, "verbosity": -1, "num_leaves": 4, "min_data_in_leaf": 2},
                        lgb.Dataset(x.astype(float), y), num_boost_round=3)
    text = booster.model_to_string().encode()
    raw = booster.predict(x[:ROWS].astype(float))
    p = np.stack([sigmoid(-raw), sigmoid(raw)], axis=1)
    made = dict(made_by=f"LightGBM {lgb.__version__}", x=x[:ROWS], ending="txt", vector=raw[:, None], tolerance=1e-12)
    write("lgb_own_objective", text, prediction=raw, **made)
    write("lgb_own_objective_logit", text, classes=[0, 1], label=(raw > 0).astype(int), prediction=p[:, 1],
          probabilities=p, file="lgb_own_objective", task="binary_classification", class_scores="logit", **made)
    model = xgb.train({"objective": "binary:logitraw", "max_depth": 2}, xgb.DMatrix(x, y), 3)
    raw = model.predict(xgb.DMatrix(x[:ROWS])).astype(float)
    p = np.stack([sigmoid(-raw), sigmoid(raw)], axis=1)
    write("xgb_logitraw", bytes(model.save_raw("json")), f"XGBoost {xgb.__version__}", x[:ROWS], [0, 1],
          (raw > 0).astype(int), p[:, 1], p, raw[:, None], ending="xgb.json", task="binary_classification",
          class_scores="logit")


# --- other types of outputs --------------------------------------------------------------------------------------------


def dictionary():
    """Rows by name: a map in the graph. Names that are not in a row are 0."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.pipeline import make_pipeline
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DictionaryType, FloatTensorType, StringTensorType

    rows = [{"age": 30.0, "city": "Rome"}, {"age": 20.0, "city": "Bern"}, {"age": 50.0}, {"age": 40.0, "city": "Rome", "income": 2.5},
            {"income": 1.5}, {"city": "Oslo"}]
    model = make_pipeline(DictVectorizer(sparse=False), LogisticRegression()).fit(rows[:5], [0, 1, 0, 1, 1])
    graph = convert_sklearn(model, initial_types=[("x", DictionaryType(StringTensorType([1]), FloatTensorType([1])))],
                            options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3})
    p = model.predict_proba(rows)
    write("dictionary", graph, f"{SKLEARN} DictVectorizer", model[0].transform(rows), [0, 1], model.predict(rows), p[:, 1], p, p)


def types():
    """float16, small integers, whole numbers and booleans."""
    x = HAND
    summed = x.sum(axis=1, keepdims=True)
    cast = lambda kind: build([node("ReduceSum", ["x", "axis"], ["s"], keepdims=1), node("Cast", ["s"], ["y"], to=kind)],
                              [("y", kind, ["N", 1])], [("axis", np.array([1]))])
    half = summed.astype(np.float16).astype(float)
    write("float16", cast(TensorProto.FLOAT16), NUMPY, x, prediction=half[:, 0], vector=half)
    whole = np.trunc(summed)
    write("int8", cast(TensorProto.INT8), NUMPY, x, prediction=whole[:, 0], vector=whole)
    large = build([node("Greater", ["x", "half"], ["y"])], [("y", TensorProto.BOOL, ["N", 2])],
                  [("half", np.array([0.5], dtype=np.float32))])
    write("booleans", large, NUMPY, x, vector=(x > 0.5).astype(float))
    table = np.array([[1, 0, 2], [3, 0, 2], [1, 0, 5], [4, 0, 5]], dtype=np.int64)
    chosen = VarianceThreshold().fit(table)
    write("variance_threshold", to_onnx(chosen, table[:1], target_opset=17), f"{SKLEARN} VarianceThreshold", table,
          vector=chosen.transform(table).astype(float))
    encoder = OrdinalEncoder(dtype=np.int64).fit(table)
    write("ordinal_encoder", to_onnx(encoder, table[:1], target_opset=17), f"{SKLEARN} OrdinalEncoder", table,
          vector=encoder.transform(table).astype(float))


# --- refused, or said ----------------------------------------------------------------------------------------------------


def bare(name, content):
    """A model alone: tests/pg_regress/sql/answers.sql says what is said of it."""
    (OUT / f"{name}.onnx").write_bytes(content if isinstance(content, bytes) else content.SerializeToString())


def refused():
    x, y = data(2)
    model = MultiOutputClassifier(LogisticRegression()).fit(x, np.stack([y, 1 - y], axis=1))
    bare("refused_several_targets", to_onnx(model, x[:1], options={id(model): {"zipmap": False}}, target_opset=17))
    words = build([node("Identity", ["x"], ["y"])], [("y", TensorProto.STRING, ["N", 2])], kind=TensorProto.STRING)
    bare("refused_texts", words)
    label, axis = ("label", TensorProto.INT64, ["N"]), dict(axis=1)
    best = node("ArgMax", ["x"], ["best"], keepdims=0, **axis)
    named = [best, node("ArrayFeatureExtractor", ["names", "best"], ["row"], domain="ai.onnx.ml"),
             node("Reshape", ["row", "list"], ["label"])]
    names = [("names", np.array([3, 4])), ("list", np.array([-1]))]
    two = [("a", TensorProto.FLOAT, ["N", 2]), ("b", TensorProto.FLOAT, ["N", 2])]
    bare("refused_two_scores", build(
        named + [node("Softmax", ["x"], ["a"], **axis), node("Sigmoid", ["x"], ["b"])], [label, *two], names))
    each = [("mean", TensorProto.FLOAT, ["N", 1]), ("deviation", TensorProto.FLOAT, ["N", 1])]
    bare("said_two_numbers", build(
        [node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1),
         node("ReduceMax", ["x"], ["deviation"], axes=[1], keepdims=1)], each))
    # The graph computes its labels, 7 and 9: nothing names them.
    computed = [best, node("Mul", ["best", "two"], ["twice"]), node("Add", ["twice", "seven"], ["label"]),
                node("Softmax", ["x"], ["probabilities"], **axis)]
    bare("labels_computed", build(computed, [label, ("probabilities", TensorProto.FLOAT, ["N", 2])],
                                  [("two", np.array([2])), ("seven", np.array([7]))]))
    # One row may ask for a place that the table does not have: the runtime then scores none of its batch.
    looked_up = [node("Cast", ["x"], ["place"], to=TensorProto.INT64), node("Gather", ["table", "place"], ["y"])]
    bare("row_out_of_bounds", build(looked_up, [("y", TensorProto.FLOAT, ["N", 1])],
                                    [("table", np.float32([1, 2, 4, 8]))], width=1))
    words = build([node("LinearClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", coefficients=[-1.0, 0, 1, 0],
                        intercepts=[0.0, 0], classlabels_strings=["no", "yes"], post_transform="LOGISTIC")],
                  [("label", TensorProto.STRING, ["N"]), ("p", TensorProto.FLOAT, ["N", 2])]).SerializeToString()
    bare("refused_label_no_text", words.replace(b"yes", b"y\xffs"))
    bare("refused_label_zero", words.replace(b"yes", b"y\0s"))


MAKERS = [
    catboost_labels, trees_by_hand, odd_labels, columns, columns_by_hand, margins, raw_scores_stated, logits,
    linear_classifier, own_objective, dictionary, types, refused,
]

if __name__ == "__main__":
    if sys.argv[1:2] == ["--into"]:
        OUT = Path(sys.argv[2])
        del sys.argv[1:3]
    for maker in MAKERS:
        if not sys.argv[1:] or maker.__name__ in sys.argv[1:]:
            maker()
