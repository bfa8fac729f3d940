"""Makes the models that are too large for `bench/models` and the rows that `--example trees -p e2i_onnx` scores.

Versions are those of tests/models/requirements.txt, and skops 0.16.0. Writes into target/bench/, which is not committed; 30 features each:

rows.f32:  10,000 rows of 30 float32.
ref.onnx, ref.ubj:  XGBoost, two classes, 100 trees of depth at most 6.
ref.sql: the same as an expression over the columns f0, f1, …, the way transpilers write it.
lgb.onnx, lgb.txt:  LightGBM, two classes, 100 trees of 31 leaves.
big.onnx:  XGBoost, two classes, 500 trees of depth at most 8.
forest.onnx, forest.skops: a random forest, 100 trees grown to the end.
classes.onnx: XGBoost, five classes, 50 trees of depth at most 5 for each.
categories.txt: LightGBM as above, the first five features codes of twelve categories.
network64.onnx, network784.onnx: 64-256-128-10 and 784-512-256-10, drawn: untrained, which costs the same.
oblivious.onnx: CatBoost, 200 symmetric trees of depth 6.

And of categories alone:

codes_xgboost.ubj: XGBoost, a number from 5 features of 300 codes, 200 trees of depth at most 6.
codes_lightgbm.txt: LightGBM, a number from 6 features of 200 codes, 500 trees of 31 leaves, some 13,000 sets.
"""

import json
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import skops.io
import xgboost
from catboost import CatBoostRegressor
from lightgbm import LGBMClassifier
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from xgboost import XGBClassifier

FEATURES = 30
HERE = Path(__file__).parent.parent / "target" / "bench"


def data(rows, seed):
    """Normal features and a target with interactions, so that trees grow to their full depth."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, FEATURES)).astype(np.float32)
    weights = np.random.default_rng(7).normal(size=FEATURES)
    signal = x @ weights + 2 * x[:, 0] * x[:, 1] - 1.5 * np.abs(x[:, 2]) * x[:, 3] + random.normal(size=rows) * 2
    return x, signal


def coded(features, categories, seed):
    """Codes and a target to which each code has an effect of its own, alone and beside its neighbour's."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, categories, size=(40_000, features))
    effects = random.normal(size=(features, categories))
    each = effects[np.arange(features), codes]
    return codes, each.sum(axis=1) + each[:, 0] * each[:, 1] + random.normal(size=len(codes)) / 2


def of_categories():
    codes, target = coded(5, 300, 11)
    frame = pd.DataFrame({f"f{i}": pd.Categorical(column, categories=range(300)) for i, column in enumerate(codes.T)})
    trained = xgboost.XGBRegressor(
        n_estimators=200, max_depth=6, learning_rate=0.1, tree_method="hist", enable_categorical=True, n_jobs=1, random_state=7
    ).fit(frame, target)
    trained.save_model(HERE / "codes_xgboost.ubj")
    codes, target = coded(6, 200, 12)
    settings = {"num_leaves": 31, "verbose": -1, "num_threads": 1, "seed": 7, "max_cat_threshold": 64, "cat_smooth": 1}
    kept = lightgbm.Dataset(codes.astype(float), target, categorical_feature=list(range(6)))
    lightgbm.train(settings, kept, num_boost_round=500).save_model(HERE / "codes_lightgbm.txt")


def network(name, sizes):
    """Gemm and Relu, the way PyTorch writes them, and a softmax."""
    random, nodes, weights, value = np.random.default_rng(13), [], [], "input"
    for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        matrix = random.normal(size=(inputs, outputs)) / np.sqrt(inputs)
        for kind, cells in ("w", matrix), ("b", random.normal(size=outputs) / 10):
            weights.append(numpy_helper.from_array(cells.astype(np.float32), f"{kind}{layer}"))
        nodes.append(helper.make_node("Gemm", [value, f"w{layer}", f"b{layer}"], [f"sum{layer}"]))
        is_last = layer == len(sizes) - 2
        value = "probabilities" if is_last else f"hidden{layer}"
        nodes.append(helper.make_node("Softmax" if is_last else "Relu", [f"sum{layer}"], [value]))
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, [None, width]) for end, width in (("input", sizes[0]), (value, sizes[-1]))]
    graph = helper.make_graph(nodes, name, ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def as_sql(trained):
    """Each tree as nested CASE expressions in float32, their sum put through the logistic function."""
    def case(node):
        if "leaf" in node:
            return f"{node['leaf']!r}::float4"
        below, above = ({child["nodeid"]: child for child in node["children"]}[node[side]] for side in ("yes", "no"))
        test = f"{node['split']} < {node['split_condition']!r}::float4"
        if node["missing"] == node["yes"]:
            test = f"({test} OR {node['split']} IS NULL)"
        return f"CASE WHEN {test} THEN {case(below)} ELSE {case(above)} END"

    booster = trained.get_booster()
    base = float(json.loads(booster.save_config())["learner"]["learner_model_param"]["base_score"].strip("[]"))
    trees = " + ".join(case(json.loads(tree)) for tree in booster.get_dump(dump_format="json"))
    return f"1 / (1 + exp(-({np.log(base / (1 - base))!s} + {trees})::float8))"


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    x, signal = data(20_000, 7)
    y = (signal > 0).astype(int)
    data(10_000, 8)[0].tofile(HERE / "rows.f32")
    kind = [("input", FloatTensorType([None, FEATURES]))]

    def write(name, model):
        (HERE / name).write_bytes(model.SerializeToString())

    xgb = {"learning_rate": 0.1, "tree_method": "hist", "n_jobs": 1, "random_state": 7}
    ref = XGBClassifier(n_estimators=100, max_depth=6, **xgb).fit(x, y)
    ref.save_model(HERE / "ref.ubj")
    (HERE / "ref.sql").write_text(as_sql(ref), encoding="utf-8")
    write("ref.onnx", convert_xgboost(ref, initial_types=kind))
    write("big.onnx", convert_xgboost(XGBClassifier(n_estimators=500, max_depth=8, **xgb).fit(x, y), initial_types=kind))
    five = np.digitize(signal, np.quantile(signal, [0.2, 0.4, 0.6, 0.8]))
    write("classes.onnx", convert_xgboost(XGBClassifier(n_estimators=50, max_depth=5, **xgb).fit(x, five), initial_types=kind))
    lgb = {"n_estimators": 100, "num_leaves": 31, "verbose": -1, "n_jobs": 1, "random_state": 7}
    leaves = LGBMClassifier(**lgb).fit(x, y)
    leaves.booster_.save_model(HERE / "lgb.txt")
    write("lgb.onnx", convert_lightgbm(leaves, initial_types=kind, zipmap=False))
    codes = np.random.default_rng(9).integers(0, 12, size=(len(x), 5))
    effects = np.random.default_rng(10).normal(size=(5, 12)) * 2
    chosen = signal + effects[np.arange(5), codes].sum(axis=1) > 0
    categories = LGBMClassifier(**lgb).fit(np.hstack([codes, x[:, 5:]]), chosen, categorical_feature=range(5))
    categories.booster_.save_model(HERE / "categories.txt")
    forest = RandomForestClassifier(n_estimators=100, n_jobs=1, random_state=7).fit(x[:10_000], y[:10_000])
    write("forest.onnx", to_onnx(forest, x[:1], options={"zipmap": False}))
    skops.io.dump(forest, HERE / "forest.skops")
    cat = CatBoostRegressor(iterations=200, depth=6, verbose=False, thread_count=1, random_seed=7, allow_writing_files=False).fit(x, signal)
    cat.save_model(str(HERE / "oblivious.onnx"), format="onnx")
    of_categories()
    network("network64", [64, 256, 128, 10])
    network("network784", [784, 512, 256, 10])


if __name__ == "__main__":
    main()
