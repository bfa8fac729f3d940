"""Build by hand the test graphs in which rows are not where one looks for them.

    python make_rows.py              # everything
    python make_rows.py NAME [NAME]  # only these

`rows_*` are tiny graphs whose outputs hold rows on another axis than the first, whose declared shapes are not the real ones,
or whose answer to a row depends on other rows or on chance; `alias_*` hand an input through as an output; `codes_strict` refuses
every code that it does not know. What is right is a matter of mental arithmetic, and stands in the tests.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from fixtures import run_all  # noqa: E402
from make_shapes import FLOAT, INT64, build, constant, value  # noqa: E402


def write_only(name, model):
    onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def alias_matrix():
    """The output is the input: nothing between them."""
    model = build("alias_matrix", [], [value("x", FLOAT, ["N", 3])], [value("x", FLOAT, ["N", 3])])
    write_only("alias_matrix", model)


def alias_label():
    """A label that is handed through beside a score: label, x -> label, y = x1 + 2 x2."""
    model = build("alias_label", [helper.make_node("MatMul", ["x", "w"], ["score"])],
                  [value("label", INT64, ["N", 1]), value("x", FLOAT, ["N", 2])],
                  [value("label", INT64, ["N", 1]), value("score", FLOAT, ["N", 1])],
                  [constant("w", np.float32([[1], [2]]))])
    write_only("alias_label", model)


def alias_constant():
    """An output that is a constant of the graph, beside one that is computed."""
    model = build("alias_constant", [helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", FLOAT, ["N", 2])],
                  [value("c", FLOAT, [1, 2]), value("y", FLOAT, ["N", 1])],
                  [constant("w", np.float32([[1], [2]])), constant("c", np.float32([[7, 8]]))])
    write_only("alias_constant", model)


def rows_handed_on():
    """Two columns handed through, to stand before another graph."""
    model = build("rows_handed_on", [], [value("x", FLOAT, ["N", 2])], [value("x", FLOAT, ["N", 2])])
    write_only("rows_handed_on", model)


def rows_last():
    """Rows on the second axis: y = transpose(x diag(1, 10)), [2, N]."""
    model = build("rows_last", [helper.make_node("Mul", ["x", "w"], ["m"]), helper.make_node("Transpose", ["m"], ["y"])],
                  [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, [2, "N"])], [constant("w", np.float32([1, 10]))])
    write_only("rows_last", model)


def rows_middle():
    """As scikit-learn's forests of several targets are exported: [targets, N, classes]."""
    w = np.float32([[[1, 2, 3], [4, 5, 6]], [[10, 20, 30], [40, 50, 60]]])
    model = build("rows_middle", [helper.make_node("MatMul", ["x", "w"], ["y"])],
                  [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, [2, "N", 3])], [constant("w", w)])
    write_only("rows_middle", model)


def rows_declared(name, declared, weights):
    model = build(name, [helper.make_node("MatMul", ["x", "w"], ["y"])],
                  [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, ["N", declared])], [constant("w", np.float32(weights))])
    write_only(name, model)


def rows_declared_narrow():
    """Declared [N, 1], gives [N, 2], as sklearn-onnx writes trees of two targets."""
    rows_declared("rows_declared_narrow", 1, [[1, 10], [2, 20]])


def rows_declared_wide():
    """Declared [N, 2], gives [N, 1], as sklearn-onnx writes PLSRegression."""
    rows_declared("rows_declared_wide", 2, [[1], [2]])


def rows_mean():
    """x minus the mean of all rows of the call: alone, each row is 0."""
    model = build("rows_mean", [helper.make_node("ReduceMean", ["x"], ["mu"], "mu", axes=[0], keepdims=1),
                                helper.make_node("Sub", ["x", "mu"], ["y"])],
                  [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, ["N", 2])])
    write_only("rows_mean", model)


def rows_sum():
    """The sum of everything, without an axis of rows."""
    model = build("rows_sum", [helper.make_node("ReduceSum", ["x"], ["y"], "sum", keepdims=0)],
                  [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, [])])
    write_only("rows_sum", model)


def rows_pairs():
    """The products of all rows with all rows, [N, N]."""
    model = build("rows_pairs", [helper.make_node("Transpose", ["x"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"])],
                  [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, ["N", "M"])])
    write_only("rows_pairs", model)


def rows_random():
    """y = x1 + x2 and noise."""
    model = build("rows_random", [helper.make_node("MatMul", ["x", "w"], ["s"]),
                                  helper.make_node("RandomNormalLike", ["s"], ["e"], "noise", scale=1.0),
                                  helper.make_node("Add", ["s", "e"], ["y"])],
                  [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, ["N", 1])], [constant("w", np.float32([[1], [1]]))])
    write_only("rows_random", model)


def rows_rarely_random():
    """As rows_random, but the noise is seen by rows with x1 above 1e6 only, which no sample is."""
    model = build("rows_rarely_random", [
        helper.make_node("MatMul", ["x", "w"], ["s"]),
        helper.make_node("RandomNormalLike", ["s"], ["e"], "noise", scale=1.0),
        helper.make_node("Greater", ["s", "limit"], ["far"]), helper.make_node("Add", ["s", "e"], ["noisy"]),
        helper.make_node("Where", ["far", "noisy", "s"], ["y"])],
        [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, ["N", 1])],
        [constant("w", np.float32([[1], [1]])), constant("limit", np.float32(1e6))])
    write_only("rows_rarely_random", model)


def rows_dropout():
    """Dropout that was exported in training mode."""
    model = build("rows_dropout", [helper.make_node("Dropout", ["x", "ratio", "mode"], ["d"], "drop"),
                                   helper.make_node("MatMul", ["d", "w"], ["y"])],
                  [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, ["N", 1])],
                  [constant("ratio", np.float32(0.5)), constant("mode", np.bool_(True)), constant("w", np.float32([[1], [1]]))])
    write_only("rows_dropout", model)


def codes_strict():
    """OneHotEncoder() of scikit-learn over two columns of floats: every other code is an error. y = the place of the first
    code (0, 1, 2) + 10 times that of the second (0, 1)."""
    nodes = [
        helper.make_node("ArrayFeatureExtractor", ["x", "first"], ["a"], domain="ai.onnx.ml"),
        helper.make_node("ArrayFeatureExtractor", ["x", "second"], ["b"], domain="ai.onnx.ml"),
        helper.make_node("OneHotEncoder", ["a"], ["a1"], domain="ai.onnx.ml", cats_int64s=[1, 2, 3], zeros=0),
        helper.make_node("OneHotEncoder", ["b"], ["b1"], domain="ai.onnx.ml", cats_int64s=[20, 30], zeros=0),
        helper.make_node("Reshape", ["a1", "three"], ["a2"]),
        helper.make_node("Reshape", ["b1", "two"], ["b2"]),
        helper.make_node("Concat", ["a2", "b2"], ["ab"], axis=1),
        helper.make_node("MatMul", ["ab", "w"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "codes_strict", [value("x", FLOAT, ["N", 2])], [value("y", FLOAT, ["N", 1])], [
        constant("first", np.int64([0])), constant("second", np.int64([1])), constant("three", np.int64([-1, 3])),
        constant("two", np.int64([-1, 2])), constant("w", np.float32([[0], [1], [2], [0], [10]]))])
    model = helper.make_model(graph, producer_name="e2i_serve tests",
                              opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)])
    model.ir_version = 8
    write_only("codes_strict", model)


MAKERS = [
    alias_matrix, alias_label, alias_constant, rows_handed_on, rows_last, rows_middle, rows_declared_narrow, rows_declared_wide,
    rows_mean, rows_sum, rows_pairs, rows_random, rows_rarely_random, rows_dropout, codes_strict,
]

if __name__ == "__main__":
    run_all(MAKERS, sys.argv[1:])
