"""What scikit-learn, betacal and MAPIE say of the same rows: `calibrations.json`, `calibrations_trained.json`.

    venv/bin/pip install scikit-learn==1.7.2 numpy==2.2.6 scipy==1.17.1 betacal==1.1.0 MAPIE==1.6.0
    venv/bin/python make_calibrations.py

Probabilities come from scikit-learn's `IsotonicRegression`, `_SigmoidCalibration` and `CalibratedClassifierCV`, and from betacal; margins
and sets from MAPIE, where it has the same convention, else from the formula in numpy (adaptive sets, which MAPIE draws at random).
"""

import json
import warnings
from pathlib import Path

import numpy as np
from betacal import BetaCalibration
from mapie.classification import SplitConformalClassifier
from mapie.regression import ConformalizedQuantileRegressor, SplitConformalRegressor
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV, _SigmoidCalibration
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")
rng = np.random.default_rng(17)


class Says(ClassifierMixin, BaseEstimator):
    """A classifier whose rows are its probabilities."""

    def fit(self, X, y):
        self.classes_ = np.arange(X.shape[1])
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return X.argmax(axis=1)


class First(RegressorMixin, BaseEstimator):
    """A regressor whose rows are its answers; which of them is a parameter."""

    def __init__(self, column=0):
        self.column = column

    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        self.fitted_ = True
        return self

    def predict(self, X):
        return X[:, self.column]


def drawn(shares):
    return np.array([rng.choice(len(share), p=share / share.sum()) for share in shares])


def listed(value):
    return np.asarray(value, dtype=float).tolist()


def beta_to_the_end(p, y, weights, at):
    """What betacal fits, by an optimiser that goes on until nothing moves: betacal's stops at 1e-4."""

    def sides(p):
        p = np.clip(p, np.finfo(float).eps, 1 - np.finfo(float).eps)
        return np.column_stack([np.log(p), -np.log(1 - p)])

    keep = [0, 1]
    while True:
        model = LogisticRegression(C=99999999999, tol=1e-14, solver="newton-cholesky", max_iter=1000)
        model.fit(sides(p)[:, keep], y, weights)
        falls = [side for side, slope in zip(keep, model.coef_[0]) if slope < 0]
        if len(keep) == 1 or not falls:
            return model.predict_proba(sides(at)[:, keep])[:, 1]
        keep = [side for side in keep if side != falls[0]]


cases = {}
# Two classes: what is said is too sure.
p = rng.uniform(size=120).round(2)
y = (rng.uniform(size=120) < p**2).astype(int)
w = rng.integers(0, 4, size=120).astype(float)
at = np.linspace(0, 1, 41)
for name, weights in [("binary", None), ("binary_weighted", w)]:
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(p, y, weights)
    sigmoid = _SigmoidCalibration().fit(p, y, weights)
    beta = BetaCalibration("abm").fit(p, y, weights)
    cases[name] = {
        "probabilities": listed(p), "truth": y.tolist(), "weights": None if weights is None else listed(weights), "at": listed(at),
        "isotonic": listed(isotonic.predict(at)), "platt": listed(sigmoid.predict(at)), "beta": listed(beta.predict(at)),
        "beta_to_the_end": listed(beta_to_the_end(p, y, weights, at)),
    }
# Margins, beyond the size from which they are scaled.
margins = rng.normal(scale=40, size=80)
truth = (rng.uniform(size=80) < 1 / (1 + np.exp(-margins / 30))).astype(int)
cases["margins"] = {
    "numbers": listed(margins), "truth": truth.tolist(), "at": listed(np.linspace(-99, 99, 21)),
    "platt": listed(_SigmoidCalibration().fit(margins, truth).predict(np.linspace(-99, 99, 21))),
}
# Rows that beta curves would fall on: one side is left out.
low = rng.uniform(size=200)
falls = (rng.uniform(size=200) < 0.9 * (1 - (1 - low) ** 4)).astype(int)
cases["one_side"] = {"probabilities": listed(low), "truth": falls.tolist(), "at": listed(at[1:-1]),
                     "beta": listed(BetaCalibration("abm").fit(low, falls).predict(at[1:-1])),
                     "beta_to_the_end": listed(beta_to_the_end(low, falls, None, at[1:-1]))}
# Several classes.
shares = rng.dirichlet([1, 1, 2, 0.5], size=150)
classes = drawn(shares**2)
new = rng.dirichlet([1, 1, 1, 1], size=20)
several = {"probabilities": shares.tolist(), "truth": classes.tolist(), "at": new.tolist()}
for method, name in [("isotonic", "isotonic"), ("sigmoid", "platt")]:
    model = CalibratedClassifierCV(FrozenEstimator(Says().fit(shares, classes)), method=method)
    several[name] = model.fit(shares, classes).predict_proba(new).tolist()
cases["several"] = several

# Conformal margins and sets.
answers = rng.normal(size=(60, 3)) * 2
values = answers[:, 0] + rng.standard_t(3, size=60)
quantiles = np.column_stack([answers[:, 0] - 1, answers[:, 0] + rng.normal(size=60) * 1.5, answers[:, 0]])
levels = [0.5, 0.8, 0.9, 0.95]
split = SplitConformalRegressor(First().fit(answers, values), confidence_level=levels, prefit=True).conformalize(answers, values)
_, intervals = split.predict_interval(answers[:10])
cases["residual"] = {"numbers": listed(answers[:, 0]), "truth": listed(values), "levels": levels, "lower": listed(intervals[:, 0, :]),
                     "upper": listed(intervals[:, 1, :])}
of_quantiles = {"numbers": listed(quantiles), "truth": listed(values), "levels": levels}
for symmetric in [True, False]:
    lower, upper = [], []
    for level in levels:
        parts = [First(column).fit(quantiles, values) for column in range(3)]
        model = ConformalizedQuantileRegressor(parts, confidence_level=level, prefit=True).conformalize(quantiles, values)
        _, interval = model.predict_interval(quantiles[:10], symmetric_correction=symmetric)
        lower.append(interval[:, 0, 0])
        upper.append(interval[:, 1, 0])
    name = "quantiles" if symmetric else "asymmetric_quantiles"
    of_quantiles[name] = {"lower": listed(np.array(lower).T), "upper": listed(np.array(upper).T)}
cases["quantiles"] = of_quantiles

model = SplitConformalClassifier(Says().fit(shares, classes), confidence_level=levels, prefit=True, conformity_score="lac")
_, sets = model.conformalize(shares, classes).predict_set(new)


def cumulated(rows):
    order = np.argsort(-rows, axis=1, kind="stable")
    sums = np.empty_like(rows)
    np.put_along_axis(sums, order, np.take_along_axis(rows, order, axis=1).cumsum(axis=1), axis=1)
    return sums


scores = np.sort(cumulated(shares)[np.arange(len(classes)), classes])
n = len(classes)
ranks = [-(-(n + 1) * int(level * 100) // 100) for level in [0.5, 0.8, 0.9, 0.95]]
adaptive = np.stack([cumulated(new) <= scores[rank - 1] for rank in ranks], axis=2)
cases["sets"] = {"probabilities": shares.tolist(), "truth": classes.tolist(), "at": new.tolist(), "levels": levels,
                 "lac": sets.astype(int).tolist(), "aps": adaptive.astype(int).tolist()}

Path(__file__).with_name("calibrations.json").write_text(json.dumps(cases) + "\n")

# A trained model of three quantiles, XGBoost's: rows and answers stand in its golden file. MAPIE leaves those that cross as they are.
golden = json.loads((Path(__file__).parent / "trained" / "xgb_quantile.golden.json").read_text())["rows"]
golden = [row for row in golden if row["prediction"] == sorted(row["prediction"])]
numbers = np.array([row["prediction"] for row in golden])[:, [0, 2, 1]]
truth = numbers[:, 2] + 2 * np.sin(7 * np.arange(len(numbers)))
known = 24
features = [row["features"] for row in golden]
trained = {"known": known, "levels": [0.5, 0.8], "features": features, "truth": listed(truth)}
for symmetric, name in [(True, "quantiles"), (False, "asymmetric_quantiles")]:
    trained[name] = []
    for level in trained["levels"]:
        parts = [First(column).fit(numbers, truth) for column in range(3)]
        model = ConformalizedQuantileRegressor(parts, confidence_level=level, prefit=True).conformalize(numbers[:known], truth[:known])
        _, interval = model.predict_interval(numbers[known:], symmetric_correction=symmetric)
        trained[name].append(listed(interval[:, :, 0]))
Path(__file__).with_name("calibrations_trained.json").write_text(json.dumps(trained, separators=(",", ":")) + "\n")
