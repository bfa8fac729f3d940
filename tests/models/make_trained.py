"""Models in the training libraries' own files, and what the libraries answer: `trained/`.

    venv/bin/python make_trained.py [--rows N] [--into FOLDER] [NAME ...]

`NAME.json` and `NAME.ubj` are one XGBoost model, `NAME.txt` is a LightGBM model; `NAME.golden.json` has rows (null is NaN),
the raw sums of each, the predictions and, for classifiers, the labels. Numbers are written so that they come back to the
bit. The answers come from a model that was loaded from the file, in one thread.
"""

import argparse
import json
import warnings
from pathlib import Path

import lightgbm as lgb
import numpy as np
import xgboost as xgb

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
TINY = float(np.float32(1e-35))


def table(seed, rows=400, width=5):
    """Numbers of several scales with holes, a label for each kind of task."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, width)) * (10.0 ** (np.arange(width) % 3 - 1))
    x[rng.random(x.shape) < 0.25] = 0.0
    score = np.sin(x[:, 0] * 20) + x[:, 1] + 0.1 * np.abs(x[:, 2])
    score += 0.3 * rng.normal(size=rows)
    x[rng.random(x.shape) < 0.12] = np.nan
    return rng, x.astype(np.float32).astype(np.float64), score


def probes(rng, x, thresholds, count):
    """Held-out rows: some like the training data, some with values on, and just beside, the thresholds of trees."""
    rows = x[rng.integers(0, len(x), count)].copy()
    rows += np.where(rows == 0, 0, rng.normal(size=rows.shape) * 0.1 * np.abs(rows))
    for row in rows[count // 3 :]:
        for column, values in thresholds.items():
            if rng.random() < 0.7:
                value = rng.choice(values)
                row[column] = value
                if rng.random() < 0.4:
                    row[column] = np.nextafter(np.float32(value), np.float32(rng.choice([-1e30, 1e30])))
    for row in rows[: count // 4]:
        row[rng.integers(0, x.shape[1])] = np.nan
    rows[0] = np.nan
    rows[1] = 0.0
    rows[2] = -0.0
    rows[3] = 1e30
    rows[4] = -1e30
    return rows


def text(value):
    """A number as JSON; float32 through float64, which holds it."""
    value = float(value)
    return None if np.isnan(value) else value


def write(into, name, rows, raw, predictions, labels, single):
    raw, predictions = (np.asarray(a).reshape(len(rows), -1) for a in (raw, predictions))
    assert not np.isnan(raw).any() and not np.isinf(predictions).any(), name
    lines = [
        json.dumps(
            {
                "features": [text(v) for v in row],
                "raw": [text(v) for v in raw[i]],
                "prediction": [text(v) for v in predictions[i]],
                "label": None if labels is None else int(labels[i]),
            },
            separators=(",", ":"),
        )
        for i, row in enumerate(rows)
    ]
    body = ",\n".join(lines)
    (into / f"{name}.golden.json").write_text(f'{{"single":{json.dumps(single)},"rows":[\n{body}\n]}}\n')


# --- XGBoost ---------------------------------------------------------------------------------------------------------

XGB = {
    "xgb_binary": dict(objective="binary:logistic", names=["age", "blood pressure", "é", "d", "e"]),
    "xgb_base_score": dict(objective="binary:logistic", base_score=0.123),
    "xgb_logitraw": dict(objective="binary:logitraw", rounds=2),
    "xgb_hinge": dict(objective="binary:hinge", rounds=3),
    "xgb_squared": dict(objective="reg:squarederror", max_depth=4, rounds=8),
    "xgb_logistic": dict(objective="reg:logistic", rounds=2, label="share"),
    "xgb_squaredlog": dict(objective="reg:squaredlogerror", rounds=2, label="positive"),
    "xgb_huber": dict(objective="reg:pseudohubererror", rounds=2),
    "xgb_absolute": dict(objective="reg:absoluteerror", rounds=2),
    "xgb_quantile": dict(objective="reg:quantileerror", rounds=2, quantile_alpha=[0.1, 0.5, 0.9]),
    "xgb_gamma": dict(objective="reg:gamma", rounds=2, label="positive"),
    "xgb_tweedie": dict(objective="reg:tweedie", rounds=2, label="positive"),
    "xgb_poisson": dict(objective="count:poisson", rounds=2, label="count"),
    "xgb_cox": dict(objective="survival:cox", rounds=2, label="positive"),
    "xgb_aft": dict(objective="survival:aft", rounds=2, label="interval"),
    "xgb_rank": dict(objective="rank:ndcg", rounds=2, label="rank"),
    "xgb_softprob": dict(objective="multi:softprob", num_class=3, num_parallel_tree=2, subsample=0.7, rounds=3),
    "xgb_softmax": dict(objective="multi:softmax", num_class=4, rounds=3),
    "xgb_two_classes": dict(objective="multi:softprob", num_class=2, rounds=2),
    "xgb_dart": dict(objective="binary:logistic", booster="dart", rate_drop=0.5, rounds=8),
    "xgb_dart_classes": dict(objective="multi:softprob", num_class=3, booster="dart", rate_drop=0.5, rounds=4),
    "xgb_one_hot": dict(objective="binary:logistic", categories=6, max_cat_to_onehot=20),
    "xgb_sets": dict(objective="reg:squarederror", categories=70, max_cat_to_onehot=2, max_depth=4, rounds=4),
    "xgb_targets": dict(objective="reg:squarederror", label="two", rounds=3),
    "xgb_vectors": dict(objective="reg:squarederror", label="two", multi_strategy="multi_output_tree", rounds=3),
    "xgb_several_labels": dict(objective="binary:logistic", label="two bits", rounds=3),
    "xgb_pruned": dict(objective="reg:squarederror", tree_method="exact", gamma=8.0, max_depth=4, rounds=4),
    "xgb_best": dict(objective="binary:logistic", stop=True, rounds=60, learning_rate=1.0, num_parallel_tree=2, subsample=0.5),
    "xgb_best_classes": dict(objective="multi:softprob", num_class=3, stop=True, rounds=60, learning_rate=1.0, max_depth=2),
    "xgb_no_rounds": dict(objective="reg:squarederror", rounds=0, base_score=3.5),
}


def xgb_label(kind, objective, classes, score):
    bits = (score > np.median(score)).astype(int)
    if classes:
        return np.searchsorted(np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]), score)
    return {
        None: bits if objective.startswith("binary") else score * 3,
        "share": 1 / (1 + np.exp(-score)),
        "positive": np.exp(score * 0.5),
        "count": np.round(np.exp(score * 0.5)),
        "interval": np.exp(score * 0.5),
        "rank": np.clip(np.round(score + 2), 0, 4),
        "two": np.column_stack([score, score**2]),
        "two bits": np.column_stack([bits, 1 - (score > 0.7)]),
    }[kind]


def make_xgb(name, number, into, count):
    given = dict(XGB[name])
    rounds, kind, stop = given.pop("rounds", 5), given.pop("label", None), given.pop("stop", False)
    names, codes = given.pop("names", None), given.pop("categories", 0)
    rng, x, score = table(number)
    types = ["float"] * x.shape[1]
    if codes:
        x[:, 3] = rng.integers(0, codes, len(x))
        x[:, 4] = np.where(np.isnan(x[:, 4]), np.nan, rng.integers(0, codes, len(x)))
        score = score + np.sin(x[:, 3] * 7) * 2 + np.nan_to_num(np.cos(x[:, 4] * 3))
        types[3:] = ["c", "c"]
    y = xgb_label(kind, given["objective"], given.get("num_class"), score)
    bounds = dict(label_lower_bound=y, label_upper_bound=y * 1.5) if kind == "interval" else dict(label=y)
    if kind == "rank":
        bounds["qid"] = np.arange(len(x)) // 20
    data = dict(feature_names=names, feature_types=types if codes else None, enable_categorical=bool(codes))
    half = len(x) // 2
    train = xgb.DMatrix(x, **bounds, **data)
    more = {}
    if stop:
        train = xgb.DMatrix(x[:half], y[:half], **data)
        more = dict(evals=[(xgb.DMatrix(x[half:], y[half:], **data), "held")], early_stopping_rounds=3, verbose_eval=False)
    params = dict(max_depth=3, seed=number, nthread=1) | given
    booster = xgb.train(params, train, rounds, **more)
    booster.save_model(into / f"{name}.json")
    booster.save_model(into / f"{name}.ubj")

    loaded = xgb.Booster({"nthread": 1}, model_file=into / f"{name}.ubj")
    thresholds = {}
    document = json.loads((into / f"{name}.json").read_text())["learner"]["gradient_booster"]
    for tree in document.get("gbtree", document)["model"]["trees"]:
        for i, left in enumerate(tree["left_children"]):
            if left != -1 and not tree["split_type"][i]:
                thresholds.setdefault(tree["split_indices"][i], []).append(tree["split_conditions"][i])
    rows = probes(rng, x, thresholds, count).astype(np.float32)
    if codes:
        strange = [-1, -0.5, -0.0, 0.5, 1.5, codes, codes + 1, 31, 32, 63, 64, 1e6, 16777214, 16777216, 2e9, np.nan]
        for column in (3, 4):
            rows[5:, column] = rng.integers(0, codes + 2, count - 5)
            rows[5 : 5 + len(strange), column] = rng.permutation(np.array(strange, dtype=np.float32))
    matrix = xgb.DMatrix(rows, feature_names=names)
    if codes:
        matrix = xgb.DMatrix(rows, feature_types=types, enable_categorical=True)
    best = loaded.attr("best_iteration")
    until = (0, int(best) + 1 if best else 0)
    ask = dict(iteration_range=until, validate_features=False)
    assert not stop or int(best) + 1 < booster.num_boosted_rounds(), name
    raw = loaded.predict(matrix, output_margin=True, **ask)
    predictions = loaded.predict(matrix, **ask)
    labels = None
    if given["objective"] == "multi:softmax":
        # The library answers with the class; probabilities are those of the same trees under the other objective.
        labels = predictions.astype(int)
        loaded.set_param({"objective": "multi:softprob"})
        predictions = loaded.predict(matrix, **ask)
    elif given["objective"] == "multi:softprob":
        labels = predictions.argmax(axis=1)
    elif given["objective"] in ("binary:logistic", "binary:hinge") and kind is None:
        labels = predictions > 0.5
    write(into, name, rows, raw, predictions, labels, single=True)


# --- LightGBM --------------------------------------------------------------------------------------------------------

LGB = {
    "lgb_binary": dict(objective="binary", sigmoid=0.7, rounds=8),
    "lgb_zero_missing": dict(objective="binary", zero_as_missing=True),
    "lgb_no_missing": dict(objective="binary", use_missing=False),
    "lgb_classes": dict(objective="multiclass", num_class=3, rounds=4),
    "lgb_one_versus_all": dict(objective="multiclassova", num_class=3, sigmoid=1.5, rounds=4),
    "lgb_two_classes": dict(objective="multiclass", num_class=2, rounds=2),
    "lgb_regression": dict(objective="regression", num_leaves=12, rounds=12),
    "lgb_sqrt": dict(objective="regression", reg_sqrt=True, rounds=2),
    "lgb_l1": dict(objective="regression_l1", rounds=2),
    "lgb_huber": dict(objective="huber", rounds=2),
    "lgb_fair": dict(objective="fair", rounds=2),
    "lgb_quantile": dict(objective="quantile", rounds=2),
    "lgb_mape": dict(objective="mape", rounds=2),
    "lgb_poisson": dict(objective="poisson", rounds=2),
    "lgb_gamma": dict(objective="gamma", rounds=2),
    "lgb_tweedie": dict(objective="tweedie", rounds=2),
    "lgb_cross_entropy": dict(objective="cross_entropy", rounds=2),
    "lgb_cross_entropy_lambda": dict(objective="cross_entropy_lambda", rounds=2),
    "lgb_lambdarank": dict(objective="lambdarank", rounds=2),
    "lgb_xendcg": dict(objective="rank_xendcg", rounds=2),
    "lgb_forest": dict(objective="regression", boosting="rf", bagging_freq=1, bagging_fraction=0.6),
    "lgb_forest_classes": dict(objective="multiclass", num_class=3, boosting="rf", bagging_freq=1, bagging_fraction=0.6),
    "lgb_dart": dict(objective="binary", boosting="dart", drop_rate=0.5, skip_drop=0.0, rounds=8),
    "lgb_sets": dict(objective="binary", categories=70, max_cat_to_onehot=1, num_leaves=8, cat_smooth=1, min_data_per_group=5),
    "lgb_one_hot": dict(objective="regression", categories=6, max_cat_to_onehot=20, use_missing=False),
    "lgb_custom": dict(objective=lambda predictions, data: (predictions - data.get_label(), np.ones(len(predictions)))),
    "lgb_best": dict(objective="binary", stop=True, rounds=200, learning_rate=0.5),
    "lgb_one_leaf": dict(objective="regression", min_data_in_leaf=1000, rounds=2),
    "lgb_linear": dict(objective="regression", linear_tree=True, rounds=2),
    # Of new ones the last: each draws its rows by its place.
    "lgb_sqrt_quantile": dict(objective="quantile", reg_sqrt=True, rounds=2),
    "lgb_sqrt_fair": dict(objective="fair", reg_sqrt=True, rounds=2),
    "lgb_sqrt_mape": dict(objective="mape", reg_sqrt=True, rounds=2),
}


def lgb_label(objective, classes, score):
    if classes:
        return np.searchsorted(np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]), score)
    if objective == "binary":
        return (score > np.median(score)).astype(int)
    if objective in ("poisson", "gamma", "tweedie", "mape"):
        return np.exp(score * 0.5)
    if str(objective).startswith("cross"):
        return 1 / (1 + np.exp(-score))
    if objective in ("lambdarank", "rank_xendcg"):
        return np.clip(np.round(score + 2), 0, 4)
    return score * 3


def make_lgb(name, number, into, count):
    given = dict(LGB[name])
    rounds, stop, codes = given.pop("rounds", 5), given.pop("stop", False), given.pop("categories", 0)
    objective = given["objective"]
    rng, x, score = table(number)
    if codes:
        x[:, 3] = rng.integers(0, codes, len(x))
        x[:, 4] = np.where(np.isnan(x[:, 4]), np.nan, rng.integers(0, codes, len(x)))
        score = score + np.sin(x[:, 3] * 7) * 2 + np.nan_to_num(np.cos(x[:, 4] * 3))
    y = lgb_label(objective, given.get("num_class"), score)
    names = ["age", "blood_pressure", "é", "d", "e=1"]
    data = dict(feature_name=names, categorical_feature=[3, 4] if codes else "auto", free_raw_data=False)
    if objective in ("lambdarank", "rank_xendcg"):
        data["group"] = [20] * (len(x) // 20)
    params = dict(num_leaves=5, min_data_in_leaf=5, seed=number, num_threads=1, deterministic=True, verbose=-1) | given
    train, more = lgb.Dataset(x, y, **data), {}
    if stop:
        half = len(x) // 2
        train = lgb.Dataset(x[:half], y[:half], **data)
        more = dict(valid_sets=[lgb.Dataset(x[half:], y[half:], reference=train)], callbacks=[lgb.early_stopping(3, verbose=False)])
    booster = lgb.train(params, train, rounds, **more)
    booster.save_model(into / f"{name}.txt")
    if name == "lgb_linear":
        return
    loaded = lgb.Booster(model_file=into / f"{name}.txt")
    thresholds = {}

    def walk(node):
        if "split_feature" in node:
            if node["decision_type"] == "<=":
                thresholds.setdefault(node["split_feature"], []).append(node["threshold"])
            walk(node["left_child"])
            walk(node["right_child"])

    for tree in loaded.dump_model()["tree_info"]:
        walk(tree["tree_structure"])
    rows = probes(rng, x, thresholds, count)
    small = [TINY, -TINY, 1e-36, -1e-36, np.nextafter(TINY, 1), np.nextafter(-TINY, -1), 2e-35, -2e-35, 5e-324]
    for row in rows[5 : 5 + len(small)]:
        row[:] = rng.permutation(small)[: x.shape[1]]
    if codes:
        strange = [-1, -0.5, -0.0, 0.5, 1.5, codes, codes + 1, 31, 32, 63, 64, 1e6, 2**31 - 1, 2.0**31, 1e18, np.nan]
        for column in (3, 4):
            rows[5:, column] = rng.integers(0, codes + 2, count - 5)
            rows[5 : 5 + len(strange), column] = rng.permutation(strange)
    raw = loaded.predict(rows, raw_score=True, num_threads=1)
    predictions = loaded.predict(rows, num_threads=1)
    labels = None
    if given.get("num_class"):
        labels = predictions.argmax(axis=1)
    elif objective == "binary":
        labels = predictions > 0.5
    write(into, name, rows, raw, predictions, labels, single=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--into", type=Path, default=HERE / "trained")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    given.into.mkdir(exist_ok=True, parents=True)
    for make, models in ((make_xgb, XGB), (make_lgb, LGB)):
        for number, name in enumerate(models):
            if not given.names or name in given.names:
                make(name, number, given.into, given.rows)


if __name__ == "__main__":
    main()
