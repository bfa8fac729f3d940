"""Makes the two models that `make bench` times. Not needed to run it; versions are those of tests/models/requirements.txt.

ref_trees:  XGBoost binary classifier, 100 trees of depth at most 6, 30 features, with onnxmltools.
ref_linear: StandardScaler and LogisticRegression, 30 features, with skl2onnx.
"""

from pathlib import Path

import numpy as np
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as XgbFloat
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
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


def main():
    x, y = data()
    HERE.mkdir(exist_ok=True)
    trees = XGBClassifier(n_estimators=100, max_depth=6, learning_rate=0.1, tree_method="hist", n_jobs=1, random_state=7)
    trees.fit(x, y)
    model = convert_xgboost(trees, initial_types=[("input", XgbFloat([None, FEATURES]))])
    (HERE / "ref_trees.onnx").write_bytes(model.SerializeToString())
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    model = to_onnx(linear, x[:1], options={"zipmap": False})
    (HERE / "ref_linear.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
