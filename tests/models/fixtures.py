"""Shared by make_models.py and make_shapes.py: write a model and its golden rows.

Golden numbers always come from the library that trained the model. ONNX Runtime
is used here for one thing only: to refuse to write a fixture whose graph does
not agree with that library within the fixture's tolerance.
"""

import json
import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

HERE = Path(__file__).resolve().parent
NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}


def plain(value, sql_type):
    """`value` as the JSON value of a column of this SQL type; missing is None."""
    if value is None or (isinstance(value, (float, np.floating)) and math.isnan(value)):
        return None
    if sql_type == "text":
        return str(value)
    if sql_type == "boolean":
        return bool(value)
    if sql_type in ("integer", "bigint"):
        if float(value) != int(value):
            raise ValueError(f"{value} is not a whole number")
        return int(value)
    return float(value)


def numbers(values):
    """One row of numbers as plain floats, or None where there is none."""
    return None if values is None else [float(v) for v in np.asarray(values).ravel()]


def golden_rows(features, columns, prediction=None, label=None, probabilities=None, vector=None):
    """The golden rows: `features` is a table (rows x columns); the rest is one value a row or None."""
    rows = []
    for i, values in enumerate(features):
        rows.append(
            {
                "features": {n: plain(v, t) for (n, t), v in zip(columns.items(), values, strict=True)},
                "prediction": None if prediction is None else float(prediction[i]),
                "label": None if label is None else str(label[i]),
                "probabilities": None if probabilities is None else numbers(probabilities[i]),
                "vector": None if vector is None else numbers(vector[i]),
            }
        )
    return rows


def feed(session, columns, rows):
    """The inputs of `session` for golden `rows`: columns are dealt to the inputs in order.

    An input of rank 1, or of width 1, takes one column; a wider one takes as many
    as its width; one of unknown width takes all that are left. Missing numbers are
    NaN, missing text is ''.
    """
    names, at, result = list(columns), 0, {}
    for item in session.get_inputs():
        width = 1
        if len(item.shape) == 2:
            width = item.shape[1] if isinstance(item.shape[1], int) else len(names) - at
        taken, at = names[at : at + width], at + width
        dtype = NUMPY_TYPES[item.type]
        missing = "" if dtype is object else math.nan
        matrix = [[missing if r["features"][n] is None else r["features"][n] for n in taken] for r in rows]
        array = np.array(matrix, dtype=dtype).reshape(len(rows), width)
        result[item.name] = array[:, 0] if len(item.shape) == 1 else array
    if at != len(names):
        raise ValueError(f"the graph takes {at} features, the golden has {len(names)}")
    return result


def session_of(path):
    """A quiet, single-threaded ONNX Runtime session."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_graph(paths, columns, rows):
    """Outputs by name, for `rows` run through one graph, or through two chained ones."""
    last = session_of(paths[-1])
    if len(paths) == 2:
        first = session_of(paths[0])
        matrix = first.run(None, feed(first, columns, rows))[0]
        inputs = {last.get_inputs()[0].name: matrix}
    else:
        inputs = feed(last, columns, rows)
    names = [o.name for o in last.get_outputs()]
    if last.get_inputs()[0].shape[0] == 1:  # a fixed batch of one row
        parts = [last.run(None, {k: v[i : i + 1] for k, v in inputs.items()}) for i in range(len(rows))]
        return {n: np.concatenate([p[j] for p in parts]) for j, n in enumerate(names)}
    return dict(zip(names, last.run(None, inputs)))


def largest_difference(golden, outputs):
    """The largest difference of the main output to the golden vectors; labels must be equal."""
    worst = 0.0
    named = golden["outputs"]
    for i, row in enumerate(golden["rows"]):
        if named["vector"]:
            got = outputs[named["vector"]][i]
            got = list(got.values()) if isinstance(got, dict) else np.asarray(got).ravel()
            want = row["vector"]
            if len(got) != len(want):
                raise AssertionError(f"{golden['model']} row {i}: {len(got)} numbers, golden has {len(want)}")
            worst = max([worst] + [abs(float(g) - w) for g, w in zip(got, want)])
        if named["label"]:
            got = str(np.asarray(outputs[named["label"]][i]).ravel()[0])
            if got != row["label"]:
                raise AssertionError(f"{golden['model']} row {i}: label {got}, golden has {row['label']}")
    return worst


def describe(path):
    """Inputs, outputs, opsets and size of a graph, as lines to print."""
    model = onnx.load(path)
    session = session_of(path)
    opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in model.opset_import)
    domains = sorted({n.domain for n in model.graph.node if n.domain not in ("", "ai.onnx", "ai.onnx.ml")})
    yield f"  {path.name}: {path.stat().st_size} bytes, ir {model.ir_version}, {opsets}" + (
        f", custom domains {domains}" if domains else ""
    )
    for kind, items in (("in ", session.get_inputs()), ("out", session.get_outputs())):
        for item in items:
            yield f"    {kind} {item.name}: {item.type} {item.shape}"


def save(name, model, task, made_by, columns, rows, *, tolerance=1e-4, classes=None,
         pass_feature_names=True, label_output=None, vector_output=None, preprocessor=None):
    """Write NAME.onnx, check it against the golden rows, then write NAME.golden.json."""
    paths = [HERE / f"{name}.onnx"]
    for graph in filter(None, (model, preprocessor)):
        # skl2onnx lists the opsets in the order of a set, which changes from run to run.
        opsets = sorted(graph.opset_import, key=lambda o: (o.domain, o.version))
        del graph.opset_import[:]
        graph.opset_import.extend(opsets)
    if preprocessor is not None:
        paths.insert(0, HERE / f"{name}.preprocessor.onnx")
        paths[0].write_bytes(preprocessor.SerializeToString(deterministic=True))
    onnx.checker.check_model(model)
    paths[-1].write_bytes(model.SerializeToString(deterministic=True))
    golden = {
        "model": name,
        "task": task,
        "made_by": made_by,
        "tolerance": tolerance,
        "classes": classes,
        "feature_names": list(columns),
        "pass_feature_names": pass_feature_names,
        "columns": [{"name": n, "sql_type": t} for n, t in columns.items()],
        "outputs": {"label": label_output, "vector": vector_output},
        "rows": rows,
    }
    worst = largest_difference(golden, run_graph(paths, columns, rows))
    print(f"{name}: {len(rows)} golden rows, largest difference {worst:.3g}")
    for path in paths:
        for line in describe(path):
            print(line)
    if worst > tolerance:
        raise AssertionError(f"{name}: onnxruntime differs by {worst}, more than {tolerance}")
    write_golden(golden)


def write_golden(golden):
    """One row a line, so that a change shows in a diff; floats keep their full repr."""
    head = {k: v for k, v in golden.items() if k != "rows"}
    lines = ",\n  ".join(json.dumps(row, allow_nan=False, ensure_ascii=False) for row in golden["rows"])
    text = "{" + json.dumps(head, allow_nan=False, ensure_ascii=False)[1:-1]
    text += ',\n "rows": [\n  ' + lines + "\n ]}\n"
    json.loads(text)
    (HERE / f"{golden['model']}.golden.json").write_text(text, encoding="utf-8")


def run_all(makers, wanted):
    """Run the makers whose name is wanted (all when none is)."""
    known = {m.__name__: m for m in makers}
    unknown = set(wanted) - set(known)
    if unknown:
        raise SystemExit(f"unknown models {sorted(unknown)}; known: {', '.join(known)}")
    for name, maker in known.items():
        if not wanted or name in wanted:
            maker()
