"""Makes the models of `bench/models`, which `make bench` times. Not needed to run it; versions are those of tests/models/requirements.txt.

ref_trees:  XGBoost binary classifier, 100 trees of depth at most 6, 30 features, with onnxmltools.
ref_linear: StandardScaler and LogisticRegression, 30 features, with skl2onnx.
stump:      XGBoost binary classifier, one tree with one branch, 30 features: what a call costs besides the trees.
mlp:        30-32-16-1 with ReLU and a sigmoid, as three Gemm, the way PyTorch writes it: the fewest nodes it can have.
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


if __name__ == "__main__":
    main()
