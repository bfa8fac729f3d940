"""What the training libraries say of why: `explanations/`.

    venv/bin/python make_explanations.py

`NAME.json` belongs to the model of that name in `trained/`: rows, and for each row and target the contributions of the columns with the base
value last, as XGBoost's `pred_contribs` and LightGBM's `pred_contrib` give them. XGBoost adds them in float32; `scale` is
the greatest number that it adds.
"""

import json
import warnings
from pathlib import Path

import lightgbm as lgb
import numpy as np
import xgboost as xgb

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
INTO = HERE / "explanations"
ROWS = [0, 1, 3, 4, 10, 30, 31, 60, 90]

TRAINED = [
    "xgb_binary", "xgb_base_score", "xgb_squared", "xgb_poisson", "xgb_softprob", "xgb_dart", "xgb_dart_classes", "xgb_one_hot",
    "xgb_sets", "xgb_targets", "xgb_pruned", "xgb_best", "xgb_no_rounds",
    "lgb_binary", "lgb_classes", "lgb_dart", "lgb_sets", "lgb_one_hot", "lgb_zero_missing", "lgb_no_missing", "lgb_poisson", "lgb_one_leaf",
]


def of_library(name):
    golden = json.loads((HERE / "trained" / f"{name}.golden.json").read_text())["rows"]
    rows = [golden[at]["features"] for at in ROWS if at < len(golden)]
    x = np.array([[np.nan if value is None else value for value in row] for row in rows])
    if name.startswith("xgb"):
        booster = xgb.Booster(model_file=HERE / "trained" / f"{name}.json")
        booster.set_param({"nthread": 1})
        best = booster.attr("best_iteration")
        types = booster.feature_types
        matrix = xgb.DMatrix(x.astype(np.float32), feature_names=booster.feature_names, feature_types=types, enable_categorical=True)
        end = int(best) + 1 if best else 0
        given = booster.predict(matrix, pred_contribs=True, iteration_range=(0, end), strict_shape=True)
    else:
        booster = lgb.Booster(model_file=HERE / "trained" / f"{name}.txt", params={"num_threads": 1})
        given = booster.predict(x, pred_contrib=True, num_threads=1)
        given = given.reshape(len(x), -1, x.shape[1] + 1)
    given = given.astype(np.float64)
    result = {"scale": float(np.abs(given).sum(axis=2).max()), "rows": rows, "contributions": given.tolist()}
    (INTO / f"{name}.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")


def main():
    INTO.mkdir(exist_ok=True)
    for name in TRAINED:
        of_library(name)


if __name__ == "__main__":
    main()
