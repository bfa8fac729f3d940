"""Makes the models of `bench/models`, which `make bench` times. Not needed to run it; versions are those of tests/models/requirements.txt.

ref_trees:  XGBoost binary classifier, 100 trees of depth at most 6, 30 features, with onnxmltools.
ref_linear: StandardScaler and LogisticRegression, 30 features, with skl2onnx.
stump:      XGBoost binary classifier, one tree with one branch, 30 features: what a call costs besides the trees.
mlp:        30-32-16-1 with ReLU and a sigmoid, as three Gemm, the way PyTorch writes it: the fewest nodes it can have.
transformer: six layers of attention over the 30 features as tokens of 16 numbers, untrained: a graph that is not compiled.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as XgbFloat
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

FEATURES = 30
HERE = Path(__file__).parent / "models"


def data(rows=20_000, seed=7):
    """Normal features and a target with interactions, so that trees grow to their full depth."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, FEATURES)).astype(np.float32)
    weights = random.normal(size=FEATURES)
    signal = x @ weights + 2 * x[:, 0] * x[:, 1] - 1.5 * np.abs(x[:, 2]) * x[:, 3] + random.normal(size=rows) * 2
    return x, (signal > 0).astype(int)


def boosted(x, y, **sizes):
    trees = XGBClassifier(learning_rate=0.1, tree_method="hist", n_jobs=1, random_state=7, **sizes).fit(x, y)
    return convert_xgboost(trees, initial_types=[("input", XgbFloat([None, FEATURES]))])


def network(x, y):
    fitted = MLPClassifier((32, 16), max_iter=30, random_state=7).fit(x, y)
    nodes, weights, value = [], [], "input"
    for layer, (kernel, bias) in enumerate(zip(fitted.coefs_, fitted.intercepts_, strict=True)):
        kernel, bias = kernel.astype(np.float32), bias.astype(np.float32)
        weights += [numpy_helper.from_array(kernel, f"w{layer}"), numpy_helper.from_array(bias, f"b{layer}")]
        last = layer == len(fitted.coefs_) - 1
        nodes.append(helper.make_node("Gemm", [value, f"w{layer}", f"b{layer}"], [f"sum{layer}"]))
        value = "probability" if last else f"hidden{layer}"
        nodes.append(helper.make_node("Sigmoid" if last else "Relu", [f"sum{layer}"], [value]))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, w]) for n, w in (("input", FEATURES), (value, 1))]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def transformer(width=16, layers=6):
    random = np.random.default_rng(7)
    nodes, weights = [], []

    def weight(name, *shape):
        weights.append(numpy_helper.from_array((random.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32), name))
        return name

    def node(kind, *inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"v{len(nodes)}"], **attributes))
        return f"v{len(nodes) - 1}"

    weights.append(numpy_helper.from_array(np.array([2], np.int64), "last"))
    weights.append(numpy_helper.from_array(np.array(width**-0.5, np.float32), "scale"))
    value = node("Add", node("Mul", node("Unsqueeze", "input", "last"), weight("embed", 1, width)), weight("places", FEATURES, width))
    for layer in range(layers):
        query, key, content = (node("MatMul", value, weight(f"{part}{layer}", width, width)) for part in ("query", "key", "content"))
        attention = node("Softmax", node("Mul", node("MatMul", query, node("Transpose", key, perm=[0, 2, 1])), "scale"), axis=-1)
        value = node("Add", value, node("MatMul", attention, content))
        hidden = node("Relu", node("MatMul", value, weight(f"up{layer}", width, 2 * width)))
        value = node("Add", value, node("MatMul", hidden, weight(f"down{layer}", 2 * width, width)))
    pooled = node("ReduceMean", value, axes=[1], keepdims=0)
    nodes.append(helper.make_node("Sigmoid", [node("MatMul", pooled, weight("head", width, 1))], ["probability"]))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, w]) for n, w in (("input", FEATURES), ("probability", 1))]
    graph = helper.make_graph(nodes, "transformer", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    x, y = data()
    HERE.mkdir(exist_ok=True)

    def write(name, model):
        (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())

    write("ref_trees", boosted(x, y, n_estimators=100, max_depth=6))
    write("stump", boosted(x, y, n_estimators=1, max_depth=1))
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    write("ref_linear", to_onnx(linear, x[:1], options={"zipmap": False}))
    write("mlp", network(x, y))
    write("transformer", transformer())


if __name__ == "__main__":
    main()
