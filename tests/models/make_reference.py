"""Asks onnx.reference, ONNX's definition of its operators in Python, about small random graphs of one operator each.

    python make_reference.py

Writes `reference.json`: for each graph its bytes, its inputs and the answers. The operators are those of ai.onnx.ml that
the native engine knows (CategoryMapper has no reference). ONNX Runtime scores every graph too; where it answers otherwise
than the reference, or the reference fails, the answers are the runtime's and `oracle` says so, with the first difference.
"""

import base64
import collections
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

HERE = Path(__file__).parent
ROWS = 9
VARIANTS = 14
TYPES = {np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE, np.int64: TensorProto.INT64, str: TensorProto.STRING}
ONNX_OF = {np.dtype(np.float32): 1, np.dtype(np.float64): 11, np.dtype(np.int64): 7, np.dtype(np.int32): 6}
WORDS = ["Aachen", "Bonn", "Ulm", "", "Zürich", "nein"]
random = np.random.default_rng(20)


def choice(*of):
    return of[random.integers(len(of))]


def numbers(count, kind=np.float32):
    return [float(kind(number)) for number in random.normal(size=count) * 2]


def cells(rows, width, kind):
    """Ordinary and odd values of a type."""
    if kind is str:
        return np.array([[choice(*WORDS) for _ in range(width)] for _ in range(rows)], dtype=object)
    if kind is np.int64:
        return random.integers(-3, 6, size=(rows, width))
    values = random.normal(size=(rows, width)) * 3
    whole = random.random((rows, width))
    values = np.where(whole < 0.3, np.round(values), values)
    return np.where(whole > 0.93, choice(0.0, -0.0, 1e-40, 7.5), values).astype(kind)


class Case:
    """A node, its inputs, and the axes of what it writes."""

    def __init__(self, operator, inputs, outputs, version=3, constants=(), **attributes):
        self.operator, self.inputs, self.outputs = operator, inputs, outputs
        names = [f"x{index}" for index in range(len(inputs))]
        attributes = {name: value for name, value in attributes.items() if value is not None}
        node = helper.make_node(
            operator, names + [tensor.name for tensor in constants], [name for name, _, _ in outputs],
            domain="ai.onnx.ml", **attributes,
        )
        kind = lambda array: TensorProto.STRING if array.dtype == object else ONNX_OF[array.dtype]
        graph = helper.make_graph(
            [node], "one",
            [helper.make_tensor_value_info(name, kind(array), [None, *array.shape[1:]]) for name, array in zip(names, inputs)],
            [helper.make_tensor_value_info(name, element, [None, *axes]) for name, element, axes in outputs],
            list(constants),
        )
        self.model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)], ir_version=9,
        )
        self.feed = dict(zip(names, inputs))


def scaler():
    kind, width = choice(np.float32, np.float64, np.int64), int(random.integers(1, 5))
    count = choice(1, width)
    return Case("Scaler", [cells(ROWS, width, kind)], [("y", 1, [width])], offset=numbers(count), scale=numbers(count))


def normalizer():
    width = int(random.integers(1, 5))
    return Case("Normalizer", [cells(ROWS, width, np.float32)], [("y", 1, [width])], norm=choice("MAX", "L1", "L2"))


def binarizer():
    width = int(random.integers(1, 4))
    return Case("Binarizer", [cells(ROWS, width, np.float32)], [("y", 1, [width])], threshold=choice(0.0, 1.0, -0.5, 7.5))


def imputer():
    whole = random.random() < 0.4
    # Models return whole numbers and texts one a row.
    width = 1 if whole else int(random.integers(1, 5))
    count = choice(1, width)
    values = cells(ROWS, width, np.int64 if whole else np.float32)
    if whole:
        return Case("Imputer", [values], [("y", 7, [width])], replaced_value_int64=choice(0, 2),
                    imputed_value_int64s=[int(number) for number in random.integers(-9, 9, size=count)])
    missing = choice(float("nan"), 0.0, -1.0)
    values[random.random(values.shape) < 0.2] = missing
    return Case("Imputer", [values], [("y", 1, [width])], replaced_value_float=missing, imputed_value_floats=numbers(count))


def one_hot():
    kind = choice(str, np.int64, np.float32)
    known = WORDS[: int(random.integers(1, 6))] if kind is str else [int(n) for n in random.permutation(8)[:4] - 2]
    values = cells(ROWS, 1, kind)
    if choice(True, False):
        values = values[:, 0]
    return Case("OneHotEncoder", [values], [("y", 1, [*values.shape[1:], len(known)])],
                **{"cats_strings" if kind is str else "cats_int64s": known})


def label_encoder():
    kinds = {"strings": str, "int64s": np.int64, "floats": np.float32}
    keys, values = choice(*kinds), choice(*kinds)
    count = int(random.integers(1, 5))
    some = lambda name: {
        "strings": [str(word) for word in random.permutation(WORDS)[:count]],
        "int64s": [int(number) for number in random.permutation(9)[:count] - 3],
        "floats": [float(number) for number in random.permutation(9)[:count] - 3],
    }[name]
    default = {"strings": ("default_string", "other"), "int64s": ("default_int64", -7), "floats": ("default_float", 0.25)}
    given = dict([default[values]]) if choice(True, False) else {}
    width = int(random.integers(1, 3)) if values == "floats" else 1
    return Case("LabelEncoder", [cells(ROWS, width, kinds[keys])], [("y", TYPES[kinds[values]], [width])],
                version=choice(2, 3, 4), **{f"keys_{keys}": some(keys), f"values_{values}": some(values)}, **given)


def label_encoder_tensors():
    keys = choice(TensorProto.STRING, TensorProto.INT64, TensorProto.DOUBLE, TensorProto.FLOAT)
    values = choice(TensorProto.STRING, TensorProto.INT64, TensorProto.DOUBLE, TensorProto.FLOAT)
    count = int(random.integers(1, 5))
    some = lambda kind: WORDS[:count] if kind == 8 else list(range(-1, count - 1))
    kind = {8: str, 7: np.int64, 11: np.float64, 1: np.float32}[keys]
    default = helper.make_tensor("default_tensor", values, [1], ["other"] if values == 8 else [9])
    return Case("LabelEncoder", [cells(ROWS, 1, kind)], [("y", values, [1])], version=4,
                keys_tensor=helper.make_tensor("keys_tensor", keys, [count], some(keys)),
                values_tensor=helper.make_tensor("values_tensor", values, [count], some(values)), default_tensor=default)


def feature_vectorizer():
    kind, widths = choice(np.float32, np.float64, np.int64), [int(width) for width in random.integers(1, 4, size=2)]
    return Case("FeatureVectorizer", [cells(ROWS, width, kind) for width in widths], [("y", 1, [sum(widths)])],
                version=1, inputdimensions=widths)


def array_feature_extractor():
    kind, width = choice(np.float32, np.float64, np.int64, str), int(random.integers(1, 5))
    picked = [int(place) for place in random.integers(0, width, size=int(random.integers(1, 5)) if kind in (np.float32, np.float64) else 1)]
    return Case("ArrayFeatureExtractor", [cells(ROWS, width, kind)], [("y", TYPES[kind], [len(picked)])], version=1,
                constants=[helper.make_tensor("places", TensorProto.INT64, [len(picked)], picked)])


def linear_regressor():
    width, targets = int(random.integers(1, 5)), int(random.integers(1, 4))
    # The reference knows no other transform, and no regressor without intercepts.
    transform = choice("NONE", "NONE", "SOFTMAX") if targets > 1 else "NONE"
    return Case("LinearRegressor", [cells(ROWS, width, np.float32)], [("y", 1, [targets])], version=1,
                coefficients=numbers(width * targets), intercepts=numbers(targets), targets=targets,
                post_transform=transform)


def linear_classifier():
    width, classes = int(random.integers(1, 5)), int(random.integers(2, 5))
    scores = 1 if classes == 2 and random.random() < 0.5 else classes
    labels = choice({"classlabels_ints": [7, -1, 3, 9][:classes]}, {"classlabels_strings": WORDS[:classes]})
    return Case("LinearClassifier", [cells(ROWS, width, np.float32)],
                [("label", 7 if "classlabels_ints" in labels else 8, []), ("y", 1, [classes])], version=1,
                coefficients=numbers(width * scores), intercepts=numbers(scores),
                post_transform=choice("NONE", "LOGISTIC", "SOFTMAX"), **labels)


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def near(thresholds, width, kind=np.float32):
    """Rows on thresholds, beside them, missing, or anywhere."""
    def one():
        at = kind(choice(*thresholds))
        return choice(at, at, np.nextafter(at, kind(np.inf)), np.nextafter(at, kind(-np.inf)), kind(random.normal() * 3), kind(np.nan))
    return np.array([[one() for _ in range(width)] for _ in range(ROWS)], dtype=kind)


def listed_trees(targets, what, width):
    """Trees of depth at most 3 as the lists of versions 1 to 3."""
    lists, weights = collections.defaultdict(list), collections.defaultdict(list)
    modes, one_each = choice(MODES[:1], MODES[:2], MODES), choice(True, False)
    for tree in range(int(random.integers(1, 4))):
        start = len(lists["nodes_nodeids"])

        def grow(depth):
            place = len(lists["nodes_nodeids"])
            is_leaf = depth == 3 or (depth and random.random() < 0.3)
            lists["nodes_treeids"].append(tree)
            lists["nodes_nodeids"].append(place - start)
            lists["nodes_featureids"].append(0 if is_leaf else int(random.integers(width)))
            lists["nodes_values"].append(0.0 if is_leaf else float(np.float32(choice(0, 1, -1, 2, random.normal()))))
            lists["nodes_modes"].append("LEAF" if is_leaf else choice(*modes))
            lists["nodes_missing_value_tracks_true"].append(int(not is_leaf and random.random() < 0.5))
            lists["nodes_truenodeids"].append(0)
            lists["nodes_falsenodeids"].append(0)
            if is_leaf:
                for target in [tree % targets] if one_each else range(targets):
                    weights[f"{what}_treeids"].append(tree)
                    weights[f"{what}_nodeids"].append(place - start)
                    weights[f"{what}_ids"].append(target)
                    weights[f"{what}_weights"].append(float(np.float32(random.normal())))
                return place - start
            lists["nodes_truenodeids"][place] = grow(depth + 1)
            lists["nodes_falsenodeids"][place] = grow(depth + 1)
            return place - start

        grow(0)
    return {**lists, **weights}


def tree_regressor():
    targets, width = int(random.integers(1, 4)), int(random.integers(1, 4))
    trees = listed_trees(targets, "target", width)
    return Case("TreeEnsembleRegressor", [near(trees["nodes_values"], width)], [("y", 1, [targets])], n_targets=targets,
                aggregate_function=choice("SUM", "AVERAGE", "MIN", "MAX"), base_values=choice(None, numbers(targets)),
                post_transform="NONE", **trees)


def tree_classifier():
    classes, width = int(random.integers(2, 5)), int(random.integers(1, 4))
    one = classes == 2 and random.random() < 0.5
    trees = listed_trees(1 if one else classes, "class", width)
    labels = choice({"classlabels_int64s": [7, -1, 3, 9][:classes]}, {"classlabels_strings": WORDS[:classes]})
    return Case("TreeEnsembleClassifier", [near(trees["nodes_values"], width)],
                [("label", 7 if "classlabels_int64s" in labels else 8, []), ("y", 1, [classes])],
                base_values=choice(None, numbers(1 if one else classes)),
                post_transform=choice("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"), **labels, **trees)


def tree_ensemble():
    """One tree of version 5: a chain, so that every side but one of a branch is a leaf; with sets."""
    kind, width, depth = choice(np.float32, np.float64), int(random.integers(1, 4)), int(random.integers(1, 5))
    element, targets = TYPES[kind], int(random.integers(1, 3))
    modes = [int(mode) for mode in random.integers(0, 7, size=depth)]
    splits = [float(kind(choice(0, 1, -1, 2, random.normal()))) for _ in modes]
    sets = [[float(n) for n in random.permutation(6)[:3]] for mode in modes if mode == 6]
    members = [number for of in sets for number in [*of, float("nan")]]
    last = lambda place: place == depth - 1
    tensor = lambda name, kind, values: helper.make_tensor(name, kind, [len(values)], values)
    return Case("TreeEnsemble", [near([*splits, *(n for of in sets for n in of)], width, kind)], [("y", element, [targets])],
                version=5, n_targets=targets, aggregate_function=int(choice(0, 1, 2, 3)), post_transform=0, tree_roots=[0],
                nodes_modes=tensor("nodes_modes", TensorProto.UINT8, modes), nodes_splits=tensor("nodes_splits", element, splits),
                nodes_featureids=[int(place) for place in random.integers(width, size=depth)],
                nodes_missing_value_tracks_true=[int(random.random() < 0.5) for _ in modes],
                nodes_truenodeids=list(range(depth)), nodes_trueleafs=[1] * depth,
                nodes_falsenodeids=[depth if last(place) else place + 1 for place in range(depth)],
                nodes_falseleafs=[int(last(place)) for place in range(depth)],
                leaf_targetids=[int(place) for place in random.integers(targets, size=depth + 1)],
                leaf_weights=tensor("leaf_weights", element, numbers(depth + 1, kind)),
                membership_values=tensor("membership_values", element, members) if members else None)


MAKERS = [scaler, normalizer, binarizer, imputer, one_hot, label_encoder, label_encoder_tensors, feature_vectorizer,
          array_feature_extractor, linear_regressor, linear_classifier, tree_regressor, tree_classifier, tree_ensemble]


def stored(array):
    """Text as it is, numbers as the base64 of their little-endian bytes."""
    array = np.asarray(array)
    if array.dtype.kind in "OUS":
        return {"texts": [str(text) for text in array.ravel()]}
    return {array.dtype.name: base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()}


def difference(ours, theirs):
    """The first cell of the reference that is not the runtime's, or nothing."""
    for name, a, b in zip(["first output", "second output"], ours, theirs):
        a, b = np.asarray(a), np.asarray(b)
        if a.size != b.size:
            return f"{name}: {a.size} cells, the runtime has {b.size}"
        a, b = a.ravel(), b.ravel()
        if b.dtype.kind != "f":
            same = np.array([str(x) == str(y) for x, y in zip(a, b)], dtype=bool)
        elif a.dtype.kind in "OUS":
            return f"{name}: it is of {a.dtype}, the runtime's of {b.dtype}"
        else:
            same = np.isclose(a.astype(b.dtype), b, rtol=1e-5, atol=1e-6, equal_nan=True)
        if not same.all():
            place = int(np.argmin(same))
            return f"{name}: cell {place} is {a[place]}, the runtime's {b[place]}"
    return None


def main():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    cases, dropped = [], collections.Counter()
    for maker in MAKERS:
        for _ in range(VARIANTS):
            case = maker()
            try:
                session = onnxruntime.InferenceSession(case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
                theirs = session.run(None, case.feed)
            except Exception as error:  # what the runtime does not score, nobody here scores
                dropped[f"{case.operator}: {str(error)[:110]}"] += 1
                continue
            try:
                ours = ReferenceEvaluator(case.model).run(None, case.feed)
                why = difference(ours, theirs)
            except Exception as error:
                why = f"the reference fails: {type(error).__name__} {str(error)[:80]}"
            # The runtime's types: the reference writes float64 here and there.
            answers = theirs if why else [np.asarray(a).astype(np.asarray(b).dtype) for a, b in zip(ours, theirs)]
            entry = {
                "operator": case.operator,
                "model": base64.b64encode(case.model.SerializeToString()).decode(),
                "inputs": [stored(array) for array in case.inputs],
                "outputs": {name: stored(array) for (name, _, _), array in zip(case.outputs, answers)},
            }
            if why:
                entry["oracle"] = f"onnxruntime; {why}"
            cases.append(entry)
    made_by = f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}"
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / "reference.json").write_text(f'{{"made_by": "{made_by}", "cases": [\n{lines}\n]}}\n')
    for operator, count in collections.Counter(case["operator"] for case in cases).items():
        other = [case["oracle"] for case in cases if case["operator"] == operator and "oracle" in case]
        print(f"{operator}: {count}, of which {len(other)} by the runtime", *other[:4], sep="\n    ")
    print("not scored by the runtime:", *dropped.items(), sep="\n    ")


main()
