"""Encoders that were trained with missing values, and what scikit-learn predicts for them: `missing/`.

    python make_missing.py

scikit-learn makes a category of its own of NaN and None; skl2onnx writes it as the text `nan` or `None`, or as NaN among
the keys of a label encoder. Golden rows have null where the data frame had a missing value. The opsets are those that
skl2onnx asks for by itself: of `ai.onnx.ml` version 1 or 2, under which ONNX Runtime does not find NaN.
"""

import json
import warnings

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from fixtures import HERE

warnings.filterwarnings("ignore")
COLUMNS = ["city", "plan", "kind", "note", "rooms"]


def table():
    """`city` has NaN, `plan` None, `kind` no missing values, `note` empty texts; `rooms` are numbers with NaN."""
    rng = np.random.default_rng(5)
    rows = 300
    texts = lambda *values: pd.Series(rng.choice(np.array(values, dtype=object), rows), dtype=object)
    frame = pd.DataFrame({
        "city": texts("Köln", "Bonn", np.nan),
        "plan": texts("basic", "plus", None),
        "kind": texts("a", "b"),
        "note": texts("yes", "no", "no", ""),
        "rooms": rng.choice([1.0, 2.0, 4.0, np.nan], rows),
    })
    score = 2.0 * frame.city.isna() + frame.plan.isna() - 1.5 * (frame.kind == "a") + (frame.note == "no")
    score += 1.5 * frame.rooms.isna() + rng.random(rows)
    return frame, (score > score.median()).astype(int)


ONE_HOT = lambda **more: OneHotEncoder(handle_unknown="ignore", **more)
ORDINAL = lambda: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
MODELS = {
    # name: what prepares, its columns, whether they are one matrix.
    "one_hot": ([("o", ONE_HOT(), ["city", "plan", "kind"])], ["city", "plan", "kind"], False),
    "one_hot_empty": ([("o", ONE_HOT(), ["city", "note"])], ["city", "note"], False),
    "ordinal": ([("o", ORDINAL(), ["city", "plan"])], ["city", "plan"], False),
    "target": ([("o", TargetEncoder(random_state=1), ["city", "plan"])], ["city", "plan"], False),
    "matrix": (ONE_HOT(), ["city", "plan", "kind"], True),
    "matrix_ordinal": (ORDINAL(), ["city", "plan"], True),
    # One column, two encoders.
    "twice": ([("o", ONE_HOT(), ["city", "kind"]), ("t", TargetEncoder(random_state=1), ["city"])], ["city", "kind"], False),
    "imputed": ([("o", make_pipeline(SimpleImputer(strategy="most_frequent", missing_values=""), ONE_HOT()), ["note"])], ["note"], False),
    "ordinal_number": (OrdinalEncoder(encoded_missing_value=-2), ["rooms"], True),
    "target_number": ([("o", TargetEncoder(random_state=1), ["rooms"])], ["rooms"], False),
}


def make(name, frame, y):
    prepare, columns, matrix = MODELS[name]
    prepare = ColumnTransformer(prepare) if isinstance(prepare, list) else prepare
    frame = frame[columns]
    model = Pipeline([("prepare", prepare), ("classify", LogisticRegression(C=10, max_iter=5000))])
    given = frame.to_numpy() if matrix else frame
    model.fit(given, y)
    kind = lambda column, width: (FloatTensorType if column == "rooms" else StringTensorType)([None, width])
    types = [("X", kind(columns[0], len(columns)))] if matrix else [(column, kind(column, 1)) for column in columns]
    graph = to_onnx(model, initial_types=types, options={"zipmap": False}, name=name)
    # skl2onnx lists the opsets in the order of a set, which changes from run to run.
    opsets = sorted(graph.opset_import, key=lambda o: (o.domain, o.version))
    del graph.opset_import[:], graph.metadata_props[:]
    graph.opset_import.extend(opsets)
    (HERE / "missing" / f"{name}.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    rows = frame.drop_duplicates().reset_index(drop=True)
    if "note" in columns:
        # What the imputer replaces; an encoder that has never seen a missing note has no category for one.
        more = rows[rows.note == ""].copy()
        more["note"] = None
        asked = pd.concat([rows, more if name == "imputed" else more.assign(note="never seen")], ignore_index=True)
        rows = pd.concat([rows, more], ignore_index=True)
        asked.loc[asked.note.isna(), "note"] = ""
    else:
        asked = rows
    probability = model.predict_proba(asked.to_numpy() if matrix else asked)[:, 1]
    golden = [
        {"features": {c: None if pd.isna(v) else v for c, v in zip(columns, row)}, "prediction": float(p)}
        for row, p in zip(rows.itertuples(index=False), probability, strict=True)
    ]
    lines = ",\n ".join(json.dumps(row, ensure_ascii=False) for row in golden)
    (HERE / "missing" / f"{name}.golden.json").write_text(f"[{lines}]\n", encoding="utf-8")
    print(name, graph.opset_import, len(golden))


if __name__ == "__main__":
    (HERE / "missing").mkdir(exist_ok=True)
    for each in MODELS:
        make(each, *table())
