"""What push promises, with the libraries' own models and a real server."""

import joblib
import numpy as np
import psycopg
import pytest
from e2i_serve import E2iError, Refused, push, verify
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = ["tenure", "engagement", "active"]


def pipeline(customers):
    frame, left = customers
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer((numbers, ["tenure", "engagement"]), (OneHotEncoder(), ["region"]), ("passthrough", ["active"]))
    return make_pipeline(columns, LogisticRegression()).fit(frame, left)


def test_a_pipeline_is_registered_by_skops_and_proved(dsn, connection, customers):
    pushed = push(pipeline(customers), "pipe", dsn, alias="champion", metrics={"auc": 0.8}, tags={"team": "a"}, sample=customers[0])
    assert (pushed.reference, pushed.action, pushed.form) == ("pipe:1", "registered", "skops")
    assert pushed.parity.passed and pushed.parity.rows == 100 and pushed.parity.greatest_difference < 1e-12
    assert pushed.parity.lines()[-1].startswith("PASS")
    row = connection.execute(
        "SELECT metrics ->> 'auc', tags ->> 'team', algorithm, jsonb_array_length(examples) FROM ml.ml_model_registry WHERE model_name = 'pipe'"
    ).fetchone()
    assert row == ("0.8", "a", "LogisticRegression", 100)
    assert connection.execute("SELECT model_version FROM ml.ml_model_aliases WHERE alias = 'champion'").fetchall() == [("1",)]
    assert verify("pipe@champion", dsn).passed


def test_the_same_model_again_changes_nothing(dsn, connection, customers):
    model = pipeline(customers)
    assert push(model, "twice", dsn).action == "registered"
    again = push(model, "twice", dsn, alias="newest", deploy=True)
    assert (again.reference, again.action) == ("twice:1", "unchanged")
    assert connection.execute("SELECT count(*) FROM ml.ml_model_registry WHERE model_name = 'twice'").fetchone() == (1,)
    assert connection.execute("SELECT alias FROM ml.ml_model_aliases WHERE model_name = 'twice'").fetchall() == [("newest",)]


def test_what_differs_from_the_version_of_the_same_bytes_is_said(dsn, connection, customers):
    frame, _ = customers
    model, other = pipeline(customers), pipeline((frame.head(200), customers[1][:200]))
    signature = {"inputs": [{"type": t, "name": n} for n, t in (("tenure", "long"), ("engagement", "double"), ("region", "string"), ("active", "boolean"))]}
    push(model, "again", dsn, sample=frame.head(20), metrics={"auc": 0.5, "f1": 0.25}, alias="best", signature=signature)
    push(other, "again", dsn, alias="best", deploy=True)
    same = push(model, "again", dsn, sample=frame.head(20), metrics={"auc": 0.5}, signature=signature)
    assert (same.reference, same.action, same.differs) == ("again:1", "unchanged", [])
    signature["inputs"][0]["type"] = "double"
    again = push(model, "again", dsn, sample=frame.tail(30), metrics={"auc": 0.75}, tags={"team": "b"}, tolerance=1e-6, signature=signature,
                 alias="best", deploy=True, description="newer")  # fmt: skip
    assert again.action == "unchanged" and again.parity.rows == 30 and again.parity.passed
    told = "\n".join(again.differs)
    assert len(again.differs) == 8, told
    for part in ("signature: ", "tolerance: 1e-05 is registered, 1e-06", "description: None is registered, newer was", "golden rows: 20 are registered, 30 others",
                 'metrics: {"auc": 0.75}', 'tags: {"team": "b"}', "alias best: moved from again:2", "deployed: in place of again:2"):  # fmt: skip
        assert part in told, told
    versions = connection.execute("SELECT array_agg(model_version ORDER BY 1), min(metrics ->> 'auc') FROM ml.ml_model_registry WHERE model_name = 'again'")
    assert versions.fetchone() == (["1", "2"], "0.5")
    assert connection.execute("SELECT count(*) FROM ml.ml_model_events WHERE model_version LIKE 'push-%'").fetchone() == (0,)


def test_the_same_bytes_with_rows_that_they_do_not_score_so_are_refused(dsn, customers):
    onnx = pytest.importorskip("onnx")
    from e2i_serve import expected

    frame = customers[0][["tenure"]].to_numpy(dtype=float)
    model = LinearRegression().fit(frame, frame[:, 0])
    push(model, "proved", dsn, sample=frame)
    honest = expected.expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expected, "expected", lambda *a: [{"prediction": row["prediction"] + 1} for row in honest(*a)])
        with pytest.raises(Refused, match="greatest difference: 1"):
            push(model, "proved", dsn, sample=frame)
    assert onnx


def test_a_dry_run_leaves_no_trace(dsn, connection, customers):
    assert push(pipeline(customers), "dry", dsn, dry_run=True).action == "dry run"
    assert connection.execute("SELECT count(*) FROM ml.ml_model_registry WHERE model_name = 'dry'").fetchone() == (0,)
    assert push(pipeline(customers), "dry", dsn).reference == "dry:1"


def test_a_model_that_scores_otherwise_is_refused_with_its_worst_row(dsn, connection, customers):
    class Other(LinearRegression):
        def predict(self, X):
            return super().predict(X) + (np.asarray(X)[:, 0] > 30)

    frame = customers[0][["tenure"]].to_numpy(dtype=float)
    model = LinearRegression().fit(frame, frame[:, 0])
    model.__class__ = Other
    Other.__module__, Other.__name__, Other.__qualname__ = "sklearn.linear_model._base", "LinearRegression", "LinearRegression"
    import sklearn.linear_model._base as base

    original, base.LinearRegression = base.LinearRegression, Other
    try:
        with pytest.raises(Refused) as refused:
            push(model, "wrong", dsn, sample=frame)
    finally:
        base.LinearRegression = original
    assert "greatest difference: 1, in row" in str(refused.value) and "FAIL" in str(refused.value)
    assert connection.execute("SELECT count(*) FROM ml.ml_model_registry WHERE model_name = 'wrong'").fetchone() == (0,)


@pytest.mark.parametrize(
    "name, make",
    [
        ("forest", lambda x, y: RandomForestRegressor(5, random_state=1).fit(x.fillna(0).to_numpy(), y)),
        ("histogram", lambda x, y: HistGradientBoostingClassifier(max_iter=5).fit(x, y)),
        ("isolation", lambda x, y: IsolationForest(n_estimators=5, random_state=1).fit(x.fillna(0).to_numpy())),
    ],
)
def test_rows_are_made_up_where_there_are_none(dsn, customers, name, make):
    pushed = push(make(customers[0][NUMBERS].astype(float), (customers[1] == "leaves").astype(int)), name, dsn)
    assert pushed.parity.passed and pushed.parity.origin == "made up" and pushed.parity.greatest_difference < 1e-12


def test_xgboost_by_its_own_file(dsn, customers, tmp_path):
    xgboost = pytest.importorskip("xgboost")
    frame, left = customers
    classes = frame.astype({"region": "category"})
    model = xgboost.XGBClassifier(n_estimators=5, enable_categorical=True).fit(classes, (left == "leaves").astype(int))
    pushed = push(model, "xgb", dsn, sample=frame)
    assert pushed.form == "XGBoost's own file" and pushed.parity.greatest_difference < 1e-7
    model = xgboost.XGBRegressor(n_estimators=5).fit(frame[NUMBERS], frame["tenure"])
    model.save_model(tmp_path / "m.ubj")
    assert push(tmp_path / "m.ubj", "xgb_file", dsn).parity.greatest_difference == 0


def test_lightgbm_by_its_own_file_with_the_names_of_its_classes(dsn, connection, customers):
    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(customers[0][NUMBERS], customers[1])
    assert push(model, "lgb", dsn).parity.greatest_difference < 1e-15
    assert connection.execute("SELECT ml.e2i_model_classes('lgb')").fetchone() == (["leaves", "stays"],)


def test_catboost_by_onnx(dsn, customers):
    catboost = pytest.importorskip("catboost")
    frame = customers[0][NUMBERS].astype(float)
    assert push(catboost.CatBoostClassifier(iterations=5, verbose=0).fit(frame, customers[1]), "cat", dsn, sample=frame).parity.passed
    assert push(catboost.CatBoostRegressor(iterations=5, verbose=0).fit(frame, frame["tenure"]), "catreg", dsn, sample=frame).parity.passed


def test_catboost_by_its_own_file(dsn, connection, customers, tmp_path):
    catboost = pytest.importorskip("catboost")
    frame = customers[0][NUMBERS].astype(float)
    catboost.CatBoostClassifier(iterations=5, verbose=0).fit(frame, customers[1]).save_model(str(tmp_path / "c.cbm"))
    pushed = push(tmp_path / "c.cbm", "cbm", dsn, sample=frame)
    assert pushed.form == "ONNX by CatBoost" and pushed.parity.passed and pushed.parity.rows == 100
    assert connection.execute("SELECT ml.e2i_model_classes('cbm')").fetchone() == (["leaves", "stays"],)
    catboost.CatBoostRegressor(iterations=5, verbose=0).fit(frame, frame["tenure"]).save_model(str(tmp_path / "r.cbm"))
    assert push(tmp_path / "r.cbm", "cbm_numbers", dsn).parity.origin == "made up"
    classes = customers[0][["tenure", "region"]]
    catboost.CatBoostClassifier(iterations=2, verbose=0, cat_features=["region"]).fit(classes, customers[1]).save_model(str(tmp_path / "t.cbm"))
    with pytest.raises(Refused, match="ONNX by CatBoost: .*categorical"):
        push(tmp_path / "t.cbm", "cbm_texts", dsn, sample=classes)


@pytest.mark.parametrize("ending", ["pkl", "joblib"])
def test_a_pickle_of_another_librarys_estimator(dsn, customers, tmp_path, ending):
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=3).fit(customers[0][NUMBERS], (customers[1] == "leaves").astype(int))
    joblib.dump(model, tmp_path / f"m.{ending}")
    assert push(tmp_path / f"m.{ending}", f"x_{ending}", dsn, allow_pickle=True).form == "XGBoost's own file"


def test_types_are_tried_until_the_scores_are_the_same(dsn, customers):
    pytest.importorskip("skl2onnx")
    from e2i_serve.forms import forms_of
    from e2i_serve.push import find
    from sklearn.preprocessing import FunctionTransformer

    model = make_pipeline(FunctionTransformer(), pipeline(customers)).fit(*customers)
    frame = customers[0].dropna().head(20)
    tried = [form.name for form in forms_of(find(model), frame, False)]
    assert tried[:2] == ["skops", "ONNX by skl2onnx, columns as they are"] and "ONNX by skl2onnx, numbers as float32, opset 15" in tried
    from sklearn.random_projection import GaussianRandomProjection

    numbers = customers[0][NUMBERS].fillna(0).astype({"active": int})
    model = make_pipeline(GaussianRandomProjection(2, random_state=1), LogisticRegression()).fit(numbers, customers[1])
    pushed = push(model, "tried", dsn, sample=numbers, tolerance=1e-4)
    assert pushed.parity.passed and len(pushed.parity.tried) >= 2, pushed.parity.tried
    assert pushed.parity.lines()[0].startswith("tried skops: ")


def test_what_skops_does_not_give_is_converted(dsn, customers):
    pytest.importorskip("skl2onnx")
    from sklearn.random_projection import GaussianRandomProjection

    frame = customers[0][NUMBERS].fillna(0).astype(float)
    model = make_pipeline(GaussianRandomProjection(2, random_state=1), LogisticRegression()).fit(frame.to_numpy(), customers[1])
    pushed = push(model, "projected", dsn, sample=frame.to_numpy())
    assert pushed.form.startswith("ONNX by skl2onnx") and pushed.parity.passed
    assert pushed.parity.tried[0][0] == "skops"


def test_onnx_with_its_weights_in_another_file_is_taken_in(dsn, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(400, dtype=np.float32).reshape(400, 1), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 400])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.save_model(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="m.data", size_threshold=0)
    assert push(tmp_path / "m.onnx", "external", dsn, sample=np.eye(5, 400, dtype=np.float32)).parity.passed


def test_a_pickle_is_opened_only_when_asked(dsn, customers, tmp_path):
    joblib.dump(pipeline(customers), tmp_path / "m.joblib")
    with pytest.raises(E2iError, match="executes what is in it"):
        push(tmp_path / "m.joblib", "pickled", dsn)
    assert push(tmp_path / "m.joblib", "pickled", dsn, allow_pickle=True).parity.passed


def test_a_skops_file_with_an_unknown_type_is_refused_by_its_name(customers, tmp_path, dsn):
    import skops.io

    model = pipeline(customers)
    skops.io.dump(model, tmp_path / "m.skops")
    assert push(tmp_path / "m.skops", "file", dsn).form == "skops as it is"
    model.set_params(logisticregression=Foreign())
    skops.io.dump(model, tmp_path / "f.skops")
    with pytest.raises(E2iError, match="--trust .*Foreign"):
        push(tmp_path / "f.skops", "foreign", dsn)


class Foreign(LogisticRegression):
    pass


def test_errors_of_the_server_are_the_servers(dsn, connection, customers):
    push(pipeline(customers), "named", dsn, version="a")
    with pytest.raises(psycopg.errors.DuplicateObject):
        frame, left = customers
        push(HistGradientBoostingClassifier(max_iter=2).fit(frame[NUMBERS], left), "named", dsn, version="a")
    with pytest.raises(E2iError, match="are the rows of the sample the model"):
        push(HistGradientBoostingClassifier(max_iter=2).fit(frame[NUMBERS], left), "rows", dsn, sample=frame[["region"]])


def test_a_name_that_cannot_be_is_no_fault_of_the_model(dsn, customers):
    with pytest.raises(psycopg.Error, match="invalid model version"):
        push(pipeline(customers), "slashed", dsn, version="a/b")


def test_a_bar_is_shown_on_a_terminal(dsn, customers, tmp_path):
    import os
    import pty
    import subprocess
    import sys

    import skops.io

    skops.io.dump(pipeline(customers), tmp_path / "m.skops")
    customers[0].to_parquet(tmp_path / "rows.parquet")
    command = [sys.executable, "-m", "e2i_serve", "push", "m.skops", "--name", "bar", "--to", dsn, "--sample", "rows.parquet", "--dry-run"]
    ours, theirs = pty.openpty()
    shown = subprocess.Popen(command, cwd=tmp_path, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    assert shown.wait() == 0 and b"\x1b[" in seen and "━".encode() in seen and b"PASS" in seen, seen


@pytest.mark.parametrize("ending", ["skops", "onnx", "ubj", "json", "lgb", "txt", "cbm", "pkl", "joblib"])
def test_a_file_that_is_something_else_is_refused_by_its_name(dsn, tmp_path, ending):
    if ending == "cbm":
        pytest.importorskip("catboost")
    (tmp_path / f"m.{ending}").write_text("junk")
    with pytest.raises(E2iError, match=f"m.{ending} cannot be read as what its ending says"):
        push(tmp_path / f"m.{ending}", "junk", dsn, allow_pickle=True)
    with pytest.raises(E2iError, match="there is no file"):
        push(tmp_path, "junk", dsn)
