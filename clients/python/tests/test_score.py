"""A data frame scored by the server has the library's scores, in its order, with its index."""

import numpy as np
import pandas as pd
import psycopg
import pytest
from e2i_serve import push, score
from e2i_serve.cli import app
from test_push import NUMBERS, pipeline
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def model(dsn, customers):
    model = pipeline(customers)
    push(model, "churn", dsn)
    return model


def test_scores_are_the_librarys(model, connection, customers):
    frame = customers[0].sample(frac=1, random_state=3).assign(unread="x")
    scores = score(frame, "churn", connection)
    assert scores.index.equals(frame.index)
    np.testing.assert_allclose(scores, model.predict_proba(frame)[:, 1], rtol=0, atol=1e-12)
    assert score(frame, "churn:1", connection, output="label").tolist() == model.predict(frame).tolist()
    np.testing.assert_allclose(np.stack(score(frame, "churn", connection, output="probabilities")), model.predict_proba(frame), atol=1e-12)


def test_categories_missing_values_and_empty_texts(model, connection, customers):
    frame = customers[0].head(3).assign(region=pd.Categorical(["North", "South", "East"]))
    assert score(frame, "churn", connection).notna().all()
    assert score(frame.head(0), "churn", connection).tolist() == []
    with pytest.raises(psycopg.Error, match="region"):
        score(frame.assign(region=""), "churn", connection)


def test_float32_columns_keep_their_bits(dsn, connection):
    from sklearn.linear_model import LinearRegression

    values = np.float32([[0.1], [1 / 3], [16777217.0]])
    model = LinearRegression().fit(values.astype(float), values[:, 0].astype(float))
    push(model, "line", dsn)
    got = score(pd.DataFrame({"x0": values[:, 0]}), "line", connection)
    np.testing.assert_allclose(got, model.predict(values.astype(float)), rtol=1e-12)
    assert score(values, "line", connection) == got.tolist()


def test_nothing_is_left_and_a_transaction_of_the_callers_stays(model, dsn, customers):
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE mine (i int)")
        score(customers[0].head(2), "churn", connection)
        connection.rollback()
        assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)


def test_the_commands(model, dsn, customers, tmp_path):
    run = CliRunner().invoke
    customers[0].to_parquet(tmp_path / "c.parquet")
    scored = run(app, ["score", str(tmp_path / "c.parquet"), "--model", "churn", "--to", dsn, "--out", str(tmp_path / "s.parquet")])
    assert scored.exit_code == 0, scored.output
    out = pd.read_parquet(tmp_path / "s.parquet")
    np.testing.assert_allclose(out["prediction"], model.predict_proba(customers[0])[:, 1], atol=1e-12)
    verified = run(app, ["verify", "churn", "--to", dsn])
    assert verified.exit_code == 0 and "PASS" in verified.output
    assert "churn" in run(app, ["list", "--to", dsn]).output
    described = run(app, ["describe", "churn", "--to", dsn]).output
    assert all(name in described for name in NUMBERS)
    missing = run(app, ["verify", "nothing", "--to", dsn])
    assert missing.exit_code == 1 and "nothing" in missing.output


def test_what_each_feature_adds(dsn, connection, customers, tmp_path):
    xgboost = pytest.importorskip("xgboost")
    frame = customers[0][NUMBERS].astype(float).head(6)
    booster = xgboost.XGBClassifier(n_estimators=4).fit(customers[0][NUMBERS].astype(float), (customers[1] == "leaves").astype(int))
    push(booster, "why", dsn)
    added = booster.get_booster().predict(xgboost.DMatrix(frame), pred_contribs=True)
    explained = score(frame, "why", connection, output="explanation")
    ours = [[one["contribution"] for one in row["contributions"]] + [row["base_value"]] for row in explained]
    np.testing.assert_allclose(ours, added, atol=1e-5)
    frame.to_parquet(tmp_path / "f.parquet")
    for ending, read in (("parquet", pd.read_parquet), ("csv", pd.read_csv)):
        command = ["explain", str(tmp_path / "f.parquet"), "--model", "why", "--to", dsn, "--out", str(tmp_path / f"e.{ending}")]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        out = read(tmp_path / f"e.{ending}")
        assert list(out.columns) == [*NUMBERS, "base_value", *(f"contribution_{name}" for name in NUMBERS)]
        np.testing.assert_allclose(out.iloc[:, 4:], added[:, :-1], atol=1e-5)
