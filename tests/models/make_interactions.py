"""What XGBoost and shap say of pairs of columns: `interactions/`.

    venv/bin/python make_interactions.py            # shap 0.51.0, skops 0.16.0, besides requirements.txt

`NAME.json` belongs to the model of that name in `trained/` or `shap/`: rows, and for each row and number of the answer a matrix, of which
each pair of columns has two cells with half of what it adds, and the diagonal what a column adds by itself. XGBoost adds in float32, and `scale`
is the greatest number that it adds.
"""

import json
import warnings
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
import shap
import skops.io
import xgboost as xgb

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
INTO = HERE / "interactions"

XGBOOST = ["xgb_binary", "xgb_squared", "xgb_poisson", "xgb_softprob", "xgb_dart", "xgb_sets"]
LIGHTGBM = ["lgb_binary", "lgb_poisson"]
SKLEARN = ["boosting_2", "extra", "forest_3", "tree_3"]


def write(name, rows, matrices):
    """`matrices`: rows, numbers of the answer, columns, columns."""
    matrices = np.asarray(matrices, dtype=np.float64)
    scale = float(np.abs(matrices).sum(axis=(2, 3)).max())
    (INTO / f"{name}.json").write_text(json.dumps({"scale": scale, "rows": rows, "interactions": matrices.tolist()}, separators=(",", ":")) + "\n")


def explained(name):
    rows = json.loads((HERE / "explanations" / f"{name}.json").read_text())["rows"][:4]
    return rows, np.array([[np.nan if value is None else value for value in row] for row in rows])


def main():
    INTO.mkdir(exist_ok=True)
    for name in XGBOOST:
        rows, x = explained(name)
        booster = xgb.Booster(model_file=HERE / "trained" / f"{name}.json")
        booster.set_param({"nthread": 1})
        matrix = xgb.DMatrix(x.astype(np.float32), feature_names=booster.feature_names, feature_types=booster.feature_types, enable_categorical=True)
        # The last row and column have the base value.
        write(name, rows, booster.predict(matrix, pred_interactions=True, strict_shape=True)[:, :, :-1, :-1])
    for name in LIGHTGBM:
        rows, x = explained(name)
        booster = lgb.Booster(model_file=HERE / "trained" / f"{name}.txt", params={"num_threads": 1})
        given = shap.TreeExplainer(booster).shap_interaction_values(x)
        write(name, rows, np.asarray(given)[:, np.newaxis])
    for name in SKLEARN:
        rows = json.loads((HERE / "shap" / f"{name}.json").read_text())["rows"][:3]
        file = HERE / "shap" / f"{name}.skops"
        model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
        given = np.asarray(shap.TreeExplainer(model).shap_interaction_values(np.array(rows)))
        write(name, rows, given[:, np.newaxis] if given.ndim == 3 else np.moveaxis(given, 3, 1))
    # Behind an encoder: what shap says of the columns that are made, added up for the features that they are made of.
    golden = json.loads((HERE / "shap" / "one_hot.json").read_text())
    rows, file = golden["rows"][:3], HERE / "shap" / "one_hot.skops"
    model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
    of = [2, 2, 2, 3, 0, 1]
    given = np.asarray(shap.TreeExplainer(model[-1]).shap_interaction_values(model[:-1].transform(pd.DataFrame(rows, columns=golden["columns"]))))
    matrices = np.zeros((len(rows), 1, 4, 4))
    for a, b in np.ndindex(6, 6):
        matrices[:, 0, of[a], of[b]] += given[:, a, b]
    write("one_hot", rows, matrices)


if __name__ == "__main__":
    main()
