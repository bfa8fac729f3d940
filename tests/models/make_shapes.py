"""Build by hand the test graphs that no scikit-learn converter writes.

    python make_shapes.py              # everything
    python make_shapes.py NAME [NAME]  # only these

`torch_*` copy what torch.onnx.export writes (its names and its node order), so
that no torch is needed; `shape_*` are tiny graphs with unusual input and output
shapes. Golden numbers are computed by scikit-learn or by numpy in float64.
"""

import sys

import numpy as np
import onnx
import sklearn
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from fixtures import HERE, describe, golden_rows, run_all, save, session_of

FLOAT, INT32, INT64, BOOL, STRING = (
    TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING,
)
NUMPY = f"numpy {np.__version__} (by hand)"


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def build(name, nodes, inputs, outputs, constants=(), producer="e2i_serve tests", opset=17):
    """A model of these nodes; ir 8 and opset 17, which every recent runtime reads."""
    graph = helper.make_graph(nodes, name, inputs, outputs, list(constants))
    model = helper.make_model(graph, producer_name=producer, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def columns_of(*names, sql_type="float8"):
    return {n: sql_type for n in names}


def floats(rows, width, seed):
    """Random numbers with two binary places: exact in float32, so no rounding hides an error."""
    return np.round(np.random.default_rng(seed).normal(0, 3, (rows, width)) * 4) / 4


# --- as torch.onnx.export writes them ------------------------------------------


def torch_mlp():
    """nn.Sequential(Linear, ReLU, Linear, Sigmoid): dynamic batch, one probability in [N, 1], no label.

    The weights and the golden numbers are scikit-learn's MLPClassifier's, whose
    binary form computes exactly this.
    """
    data = load_breast_cancer()
    x, rest, y, _ = train_test_split(data.data[:, :10], data.target, test_size=0.3, random_state=7)
    scale = StandardScaler().fit(x)
    x, rest = (scale.transform(part).astype(np.float32).astype(np.float64) for part in (x, rest))
    net = MLPClassifier(hidden_layer_sizes=(16,), max_iter=1500, random_state=7).fit(x, y)
    weights = []
    for layer, w, b in zip((0, 2), net.coefs_, net.intercepts_):
        weights += [constant(f"{layer}.weight", w.T.astype(np.float32)), constant(f"{layer}.bias", b.astype(np.float32))]
    nodes = [
        helper.make_node("Gemm", ["input", "0.weight", "0.bias"], ["/0/Gemm_output_0"], "/0/Gemm", alpha=1.0, beta=1.0, transB=1),
        helper.make_node("Relu", ["/0/Gemm_output_0"], ["/1/Relu_output_0"], "/1/Relu"),
        helper.make_node("Gemm", ["/1/Relu_output_0", "2.weight", "2.bias"], ["/2/Gemm_output_0"], "/2/Gemm", alpha=1.0, beta=1.0, transB=1),
        helper.make_node("Sigmoid", ["/2/Gemm_output_0"], ["output"], "/3/Sigmoid"),
    ]
    model = build("main_graph", nodes, [value("input", FLOAT, ["batch_size", 10])],
                  [value("output", FLOAT, ["batch_size", 1])], weights, producer="pytorch")
    columns = columns_of(*(f"z {n}" for n in data.feature_names[:10]))
    p = net.predict_proba(rest[:60])[:, 1]
    save("torch_mlp", model, "binary_classification", f"scikit-learn {sklearn.__version__} MLPClassifier, as a torch graph",
         columns, golden_rows(rest[:60], columns, p, vector=p[:, None]), vector_output="output")


def torch_embedding():
    """An encoder whose answer is a vector: [N, 16], of length 1 (Linear, Tanh, Linear, normalise)."""
    rng = np.random.default_rng(16)
    w1, b1 = rng.normal(0, 0.3, (24, 12)), rng.normal(0, 0.1, 24)
    w2, b2 = rng.normal(0, 0.3, (16, 24)), rng.normal(0, 0.1, 16)
    w1, b1, w2, b2 = (a.astype(np.float32) for a in (w1, b1, w2, b2))
    nodes = [
        helper.make_node("Gemm", ["input", "encoder.0.weight", "encoder.0.bias"], ["/encoder/0/Gemm_output_0"], "/encoder/0/Gemm", transB=1),
        helper.make_node("Tanh", ["/encoder/0/Gemm_output_0"], ["/encoder/1/Tanh_output_0"], "/encoder/1/Tanh"),
        helper.make_node("Gemm", ["/encoder/1/Tanh_output_0", "encoder.2.weight", "encoder.2.bias"], ["/encoder/2/Gemm_output_0"], "/encoder/2/Gemm", transB=1),
        helper.make_node("ReduceL2", ["/encoder/2/Gemm_output_0"], ["/ReduceL2_output_0"], "/ReduceL2", axes=[-1], keepdims=1),
        helper.make_node("Div", ["/encoder/2/Gemm_output_0", "/ReduceL2_output_0"], ["embedding"], "/Div"),
    ]
    weights = [constant("encoder.0.weight", w1), constant("encoder.0.bias", b1),
               constant("encoder.2.weight", w2), constant("encoder.2.bias", b2)]
    model = build("main_graph", nodes, [value("input", FLOAT, ["batch_size", 12])],
                  [value("embedding", FLOAT, ["batch_size", 16])], weights, producer="pytorch")
    x = floats(50, 12, seed=17)
    hidden = np.tanh(x @ w1.T.astype(np.float64) + b1)
    raw = hidden @ w2.T.astype(np.float64) + b2
    columns = columns_of(*(f"f{i}" for i in range(12)), sql_type="float4")
    save("torch_embedding", model, "other", NUMPY, columns,
         golden_rows(x, columns, vector=raw / np.linalg.norm(raw, axis=1, keepdims=True)), vector_output="embedding")


# --- shapes --------------------------------------------------------------------

WEIGHTS4 = np.array([[0.5], [-1.25], [2.0], [0.125]])


def linear4(x):
    return x @ WEIGHTS4 + 0.75


def shape_fixed_batch():
    """A batch of exactly one row, [1, 4] -> [1, 1]: many rows must be run one at a time."""
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"])]
    model = build("shape_fixed_batch", nodes, [value("x", FLOAT, [1, 4])], [value("y", FLOAT, [1, 1])],
                  [constant("w", WEIGHTS4.astype(np.float32)), constant("b", np.float32([0.75]))])
    x, columns = floats(8, 4, seed=1), columns_of("a", "b", "c", "d")
    y = linear4(x)
    save("shape_fixed_batch", model, "regression", NUMPY, columns, golden_rows(x, columns, y[:, 0], vector=y), vector_output="y")


def shape_vector_inputs():
    """Inputs of shape [N], not [N, 1], of three types: y = 0.5 amount + 2 visits + 10 is_new."""
    nodes = [
        helper.make_node("Cast", ["visits"], ["visits_f"], to=FLOAT),
        helper.make_node("Cast", ["is_new"], ["is_new_f"], to=FLOAT),
        helper.make_node("Mul", ["amount", "half"], ["a"]),
        helper.make_node("Mul", ["visits_f", "two"], ["b"]),
        helper.make_node("Mul", ["is_new_f", "ten"], ["c"]),
        helper.make_node("Add", ["a", "b"], ["ab"]),
        helper.make_node("Add", ["ab", "c"], ["abc"]),
        helper.make_node("Unsqueeze", ["abc", "axes"], ["y"]),
    ]
    inputs = [value("amount", FLOAT, ["N"]), value("visits", INT32, ["N"]), value("is_new", BOOL, ["N"])]
    model = build("shape_vector_inputs", nodes, inputs, [value("y", FLOAT, ["N", 1])],
                  [constant("half", np.float32(0.5)), constant("two", np.float32(2)), constant("ten", np.float32(10)),
                   constant("axes", np.int64([1]))])
    columns = {"amount": "float4", "visits": "integer", "is_new": "boolean"}
    rows = [(1.5, 0, False), (-2.25, 3, True), (0.0, -7, False), (1000.5, 12, True), (8.0, 1, True), (3.75, 2147, False)]
    y = np.array([0.5 * a + 2 * v + 10 * n for a, v, n in rows])
    save("shape_vector_inputs", model, "regression", NUMPY, columns,
         golden_rows(rows, columns, y, vector=y[:, None]), pass_feature_names=False, vector_output="y")


def shape_two_tensors():
    """Two wide inputs, [N, 3] and [N, 2]: the features are dealt to them in order."""
    left, right = np.array([[1.0], [2.0], [4.0]]), np.array([[-8.0], [16.0]])
    nodes = [
        helper.make_node("MatMul", ["left", "wl"], ["l"]),
        helper.make_node("MatMul", ["right", "wr"], ["r"]),
        helper.make_node("Add", ["l", "r"], ["y"]),
    ]
    model = build("shape_two_tensors", nodes, [value("left", FLOAT, ["N", 3]), value("right", FLOAT, ["N", 2])],
                  [value("y", FLOAT, ["N", 1])],
                  [constant("wl", left.astype(np.float32)), constant("wr", right.astype(np.float32))])
    x, columns = floats(8, 5, seed=3), columns_of("l1", "l2", "l3", "r1", "r2")
    y = x @ np.concatenate([left, right])
    save("shape_two_tensors", model, "regression", NUMPY, columns, golden_rows(x, columns, y[:, 0], vector=y), vector_output="y")


def shape_regression_flat():
    """A regression whose output is [N], without a second dimension."""
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y2"]), helper.make_node("Squeeze", ["y2", "axes"], ["y"])]
    model = build("shape_regression_flat", nodes, [value("x", FLOAT, ["N", 4])], [value("y", FLOAT, ["N"])],
                  [constant("w", WEIGHTS4.astype(np.float32)), constant("b", np.float32([0.75])), constant("axes", np.int64([1]))])
    x, columns = floats(8, 4, seed=4), columns_of("a", "b", "c", "d")
    y = linear4(x)
    save("shape_regression_flat", model, "regression", NUMPY, columns, golden_rows(x, columns, y[:, 0], vector=y), vector_output="y")


def shape_int64_matrix():
    """A wide int64 input, cast to float inside the graph."""
    nodes = [helper.make_node("Cast", ["x"], ["xf"], to=FLOAT), helper.make_node("Gemm", ["xf", "w", "b"], ["y"])]
    model = build("shape_int64_matrix", nodes, [value("x", INT64, ["N", 4])], [value("y", FLOAT, ["N", 1])],
                  [constant("w", WEIGHTS4.astype(np.float32)), constant("b", np.float32([0.75]))])
    x = np.random.default_rng(5).integers(-1000, 1000, (8, 4))
    columns = {"a": "bigint", "b": "integer", "c": "bigint", "d": "integer"}
    y = linear4(x.astype(np.float64))
    save("shape_int64_matrix", model, "regression", NUMPY, columns, golden_rows(x, columns, y[:, 0], vector=y), vector_output="y")


def shape_dynamic_width():
    """[None, None] in: only the weight's shape (4 rows) says how many features there are."""
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"])]
    model = build("shape_dynamic_width", nodes, [value("x", FLOAT, [None, None])], [value("y", FLOAT, [None, 1])],
                  [constant("w", WEIGHTS4.astype(np.float32)), constant("b", np.float32([0.75]))])
    x, columns = floats(8, 4, seed=6), columns_of("a", "b", "c", "d")
    y = linear4(x)
    save("shape_dynamic_width", model, "regression", NUMPY, columns, golden_rows(x, columns, y[:, 0], vector=y), vector_output="y")


# --- graphs without a golden -----------------------------------------------------


def write_only(name, model):
    """Write a graph that has no golden file, and describe it."""
    onnx.checker.check_model(model)
    path = HERE / f"{name}.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def shape_loop():
    """Cancellation: a Loop of 10^9 iterations, far longer than any test waits; y = x + 10^9 steps."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_in"], ["go_out"]), helper.make_node("Add", ["v_in", "step"], ["v_out"])],
        "body", [value("i", INT64, []), value("go_in", BOOL, []), value("v_in", FLOAT, ["N", 1])],
        [value("go_out", BOOL, []), value("v_out", FLOAT, ["N", 1])],
    )
    model = build("shape_loop", [helper.make_node("Loop", ["trip", "go", "x"], ["y"], body=body)],
                  [value("x", FLOAT, ["N", 1])], [value("y", FLOAT, ["N", 1])],
                  [constant("trip", np.int64(10**9)), constant("go", np.bool_(True)), constant("step", np.float32(1e-3))])
    print("shape_loop: no golden")
    print("\n".join(describe(write_only("shape_loop", model))))


def shape_slow():
    """About a second for one row on one thread: a chain of MatMuls of ConstantOfShape matrices; y = x.

    The time grows with the rows, and the chain starts at the input, so that it cannot be
    folded into a constant when the session is made.
    """
    side, links = 512, 400
    nodes = [
        helper.make_node("ConstantOfShape", ["square"], ["m"], value=helper.make_tensor("v", FLOAT, [1], [1.0 / side])),
        helper.make_node("Unsqueeze", ["x", "last"], ["x3"]),
        helper.make_node("Mul", ["x3", "m"], ["h0"]),
    ]
    nodes += [helper.make_node("MatMul", [f"h{i}", "m"], [f"h{i + 1}"]) for i in range(links)]
    nodes += [
        helper.make_node("ReduceMean", [f"h{links}"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["mean2"]),
        helper.make_node("Mul", ["mean2", "side"], ["y"]),
    ]
    model = build("shape_slow", nodes, [value("x", FLOAT, ["N", 1])], [value("y", FLOAT, ["N", 1])],
                  [constant("square", np.int64([side, side])), constant("last", np.int64([2])),
                   constant("one", np.int64([1])), constant("side", np.float32(side))])
    path = write_only("shape_slow", model)
    got = session_of(path).run(None, {"x": np.float32([[3.0]])})[0]
    if got.shape != (1, 1) or abs(got[0, 0] - 3.0) > 1e-2:
        raise AssertionError(f"shape_slow: {got} is not 3")
    print("shape_slow: no golden")
    print("\n".join(describe(path)))


def shape_cumsum():
    """An operator that the native engine does not know: the sum of three numbers as the last of their running sums."""
    nodes = [helper.make_node("CumSum", ["x", "axis"], ["running"]),
             helper.make_node("Gather", ["running", "last"], ["y"], axis=1)]
    model = build("shape_cumsum", nodes, [value("x", FLOAT, ["N", 3])], [value("y", FLOAT, ["N", 1])],
                  [constant("axis", np.int64(1)), constant("last", np.int64([2]))])
    print("shape_cumsum: no golden")
    print("\n".join(describe(write_only("shape_cumsum", model))))


def shape_locale():
    """A StringNormalizer that names no locale, as skl2onnx writes it by default.

    Loading it fails where the system has no en_US.UTF-8 (see README.md): that must be an
    ERROR which says so, not a crash. No golden, and not loaded here either.
    """
    nodes = [
        helper.make_node("Reshape", ["note", "flat"], ["n"]),
        helper.make_node("StringNormalizer", ["n"], ["y"], case_change_action="LOWER", is_case_sensitive=0),
    ]
    model = build("shape_locale", nodes, [value("note", STRING, ["N", 1])], [value("y", STRING, ["N"])],
                  [constant("flat", np.int64([-1]))])
    path = write_only("shape_locale", model)
    print(f"shape_locale: no golden, {path.stat().st_size} bytes")


MAKERS = [
    torch_mlp, torch_embedding,
    shape_fixed_batch, shape_vector_inputs, shape_two_tensors, shape_regression_flat,
    shape_int64_matrix, shape_dynamic_width,
    shape_loop, shape_slow, shape_cumsum, shape_locale,
]

if __name__ == "__main__":
    run_all(MAKERS, sys.argv[1:])
