"""The row of `bench/scans` through a model server: a BentoML service of one XGBoost model, for `bentoml serve`.

BENCH_MODEL names the file. Takes `{"features": {"f0": …, …}}` and gives `{"predictions": [0.7]}`, as the service does that
e2i_serve's contract of the same form comes from.
"""

import os

import bentoml
import numpy as np
import xgboost

FEATURES = 30


@bentoml.service(workers=1)
class Classifier:
    def __init__(self):
        self.booster = xgboost.Booster({"nthread": 1}, model_file=os.environ["BENCH_MODEL"])

    @bentoml.api
    def predict(self, features: dict[str, float]) -> dict:
        row = np.array([[features[f"f{i}"] for i in range(FEATURES)]], np.float32)
        return {"predictions": self.booster.inplace_predict(row).tolist()}
