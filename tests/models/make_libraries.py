"""Files of XGBoost and LightGBM that the versions of requirements.txt do not write, and what the libraries predict: `libraries/`.

    python make_libraries.py        # xgboost 3.2.0, lightgbm 4.7.0, pandas 3.0 or newer

`lgb_frame`, `lgb_reversed` and `xgb_frame` were trained on data frames with categories; their golden rows have the values of
the frame, null where one was missing. The other models of XGBoost are about base scores: trained on one class or on zeros
alone, or for no round at all. `lgb_2_1_2.txt` and `xgb_1_0_2.model` were saved by these versions of the libraries; they are
not made here.
"""

import json
import warnings
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
import xgboost as xgb

warnings.filterwarnings("ignore")
INTO = Path(__file__).parent / "libraries"


def frame(rng, rows):
    pick = lambda *values: rng.choice(np.array(values, dtype=object), rows)
    return pd.DataFrame({
        "age": rng.integers(200, 600, rows) / 10,
        "city": pd.Categorical(pick("Köln", "", "NaN", "New York", "a\"b", None)),
        "cylinders": pd.Categorical(pd.array(rng.choice([3, 8, -5], rows), dtype="int64"), categories=[8, -5, 3]),
        "flag": pd.Categorical(pick(True, False), categories=[True, False]),
        "size": pd.Categorical(pick("S", "M", "L"), categories=["S", "M", "L"], ordered=True),
        "share": pd.Categorical(rng.choice([0.5, 1.5, 2.0], rows)),
        "rare": pd.Categorical(pick("u", "v")),
        "constant": pd.Categorical(["only"] * rows),
    })


def target(data):
    weights = dict(city=3, cylinders=10, flag=17, size=5, share=8)
    codes = {column: data[column].cat.codes.astype(float) for column in weights}
    return sum((codes[c] * 2.7 % 4) * w for c, w in weights.items()) + 0.1 * data.age


def write(name, columns, rows, predictions):
    plain = lambda value: None if pd.isna(value) else value.item() if isinstance(value, np.generic) else value
    lines = [
        json.dumps({"features": dict(zip(columns, map(plain, row))), "prediction": float(p)}, ensure_ascii=False)
        for row, p in zip(rows, np.asarray(predictions, dtype=np.float64), strict=True)
    ]
    (INTO / f"{name}.golden.json").write_text("[" + ",\n ".join(lines) + "]\n", encoding="utf-8")
    print(name, len(lines))


def make_lgb():
    rng = np.random.default_rng(1)
    data = frame(rng, 400)
    params = dict(n_estimators=12, num_leaves=6, min_child_samples=5, max_cat_to_onehot=1, cat_smooth=1, min_data_per_group=5, random_state=1, n_jobs=1, verbose=-1)
    model = lgb.LGBMRegressor(**params).fit(data, target(data))
    model.booster_.save_model(INTO / "lgb_frame.txt")
    asked = data.head(12).astype(object)
    unseen = data.head(5).astype(object)
    for row, (column, value) in enumerate([("city", "Berlin"), ("cylinders", 4), ("share", 0.7), ("size", "XL"), ("cylinders", None)]):
        unseen.loc[row, column] = value
    asked = pd.concat([asked, unseen], ignore_index=True)
    given = asked.copy()
    for column in data.columns[1:]:
        given[column] = pd.Categorical(asked[column].tolist(), ordered=column == "size")
    given["age"] = asked.age.astype(float)
    loaded = lgb.Booster(model_file=INTO / "lgb_frame.txt")
    write("lgb_frame", data.columns, asked.itertuples(index=False), loaded.predict(given))

    data = pd.DataFrame({"g": pd.Categorical([1, 0] * 20, categories=[1, 0])})
    y = np.array([0.0, 10.0] * 20)
    one = dict(n_estimators=1, learning_rate=1, min_child_samples=1, min_data_per_group=1, cat_l2=0, cat_smooth=0, verbose=-1)
    lgb.LGBMRegressor(**one).fit(data, y).booster_.save_model(INTO / "lgb_reversed.txt")
    loaded = lgb.Booster(model_file=INTO / "lgb_reversed.txt")
    write("lgb_reversed", ["g"], [[1], [0]], loaded.predict(data.head(2)))


def make_xgb():
    rng = np.random.default_rng(2)
    data = frame(rng, 400)
    y = target(data)
    data = data[["age", "city", "cylinders"]].copy()
    data["city"] = data.city.cat.rename_categories({"Köln": "Cologne"})
    given = dict(max_depth=4, nthread=1, objective="reg:squarederror", max_cat_to_onehot=2)
    booster = xgb.train(given, xgb.DMatrix(data, y, enable_categorical=True), 5)
    for ending in ("json", "ubj"):
        booster.save_model(INTO / f"xgb_frame.{ending}")
    loaded = xgb.Booster({"nthread": 1}, model_file=INTO / "xgb_frame.ubj")
    asked = data.head(16)
    again = asked.copy()
    # The frame's own order of categories does not count.
    again["city"] = pd.Categorical(asked.city.astype(object).tolist())
    again["cylinders"] = pd.Categorical(pd.array(asked.cylinders.tolist(), dtype="int64"))
    predictions = loaded.predict(xgb.DMatrix(again, enable_categorical=True))
    write("xgb_frame", data.columns, asked.astype(object).itertuples(index=False), predictions)

    # What XGBoost makes of letters that are several bytes: codes are right, texts are cut.
    data = pd.DataFrame({"city": pd.Categorical(["Bonn", "Köln", "München"] * 20)})
    one = dict(learning_rate=1, reg_lambda=0, base_score=0, nthread=1)
    xgb.train(one, xgb.DMatrix(data, data.city.cat.codes * 10.0, enable_categorical=True), 1).save_model(INTO / "xgb_cut.json")

    x = rng.normal(size=(60, 2)).astype(np.float32)
    half = (x[:, 0] > 0).astype(float)
    for name, objective, y, rounds, base in (
        ("xgb_all_0", "binary:logistic", np.zeros(60), 2, None),
        ("xgb_all_1", "binary:logistic", np.ones(60), 2, None),
        ("xgb_shares_all_1", "reg:logistic", np.ones(60), 2, None),
        ("xgb_margins_all_0", "binary:logitraw", np.zeros(60), 2, None),
        ("xgb_counts_all_0", "count:poisson", np.zeros(60), 2, None),
        ("xgb_low_base", "binary:logistic", half, 2, 5e-7),
        ("xgb_high_base", "binary:logistic", half, 2, 0.9999999),
        ("xgb_untrained", "binary:logistic", half, 0, None),
        ("xgb_untrained_base", "binary:logistic", half, 0, 0.3),
    ):
        params = dict(objective=objective, nthread=1) | ({} if base is None else dict(base_score=base))
        xgb.train(params, xgb.DMatrix(x, y), rounds).save_model(INTO / f"{name}.json")
        loaded = xgb.Booster({"nthread": 1}, model_file=INTO / f"{name}.json")
        write(name, ["f0", "f1"], x[:6].astype(float), loaded.predict(xgb.DMatrix(x[:6])))


if __name__ == "__main__":
    INTO.mkdir(exist_ok=True)
    make_lgb()
    make_xgb()
