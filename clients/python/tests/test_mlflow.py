"""MLflow's registry and its deployments, with the client that MLflow ships."""

import pytest

mlflow = pytest.importorskip("mlflow")

import numpy as np  # noqa: E402
from e2i_serve import E2iError, push  # noqa: E402
from e2i_serve.importing import import_mlflow  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from test_push import NUMBERS, pipeline  # noqa: E402


@pytest.fixture(scope="module")
def registry(tmp_path_factory, customers):
    """Two versions of a pipeline, one with an example, the first one champion and in production; and a booster."""
    folder = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("e", artifact_location=f"file://{folder}/artifacts")
    mlflow.set_experiment("e")
    model = pipeline(customers)
    frame, left = customers
    trusted = {"skops_trusted_types": ["numpy.dtype"]} if int(mlflow.__version__.split(".")[0]) >= 3 else {}
    for example in (frame.head(7), None):
        with mlflow.start_run():
            mlflow.log_metric("auc", 0.8125)
            mlflow.log_param("depth", 3)
            mlflow.sklearn.log_model(
                model, name="model", signature=infer_signature(frame, model.predict(frame)), input_example=example,
                registered_model_name="churn", serialization_format="skops", **trusted,
            )  # fmt: skip
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("churn", "champion", "1")
    client.transition_model_version_stage("churn", "1", "Production")
    xgboost = pytest.importorskip("xgboost")
    with mlflow.start_run():
        booster = xgboost.XGBClassifier(n_estimators=3).fit(frame[NUMBERS].astype(float), (left == "leaves").astype(int))
        mlflow.xgboost.log_model(booster, name="model", registered_model_name="boosted", input_example=frame[NUMBERS].astype(float).head(5))
    return model


def test_a_version_comes_with_all_that_mlflow_knows(registry, dsn, connection):
    pushed = push("models:/churn@champion", "known", dsn)
    assert pushed.reference == "known:1" and pushed.parity.origin == "input example" and pushed.parity.rows == 7
    row = connection.execute(
        "SELECT mlflow_model_uri, metrics ->> 'auc', tags -> 'params' ->> 'depth', mlflow_run_id IS NOT NULL, trained_at > now() - interval '1 h',"
        " signature -> 'inputs' -> 0 ->> 'type' FROM ml.ml_model_registry WHERE model_name = 'known'"
    ).fetchone()
    assert row == ("models:/churn/1", "0.8125", "3", True, True, "long")


def test_the_number_of_the_version_is_mlflows(registry, dsn):
    assert push("models:/churn/2", "second", dsn).reference == "second:2"
    assert push("models:/churn/latest", "latest", dsn).reference == "latest:2"
    assert push("models:/churn/production", "stage", dsn).reference == "stage:1"


def test_a_run_is_pushed_by_its_path(registry, dsn, connection):
    client = mlflow.MlflowClient()
    run = client.get_model_version("churn", "1").run_id
    pushed = push(f"runs:/{run}/model", "ran", dsn)
    assert pushed.reference == "ran:1" and pushed.parity.origin == "input example"
    row = connection.execute("SELECT mlflow_run_id, mlflow_model_uri, metrics ->> 'auc' FROM ml.ml_model_registry WHERE model_name = 'ran'").fetchone()
    assert row == (run, f"runs:/{run}/model", "0.8125")
    again = push("models:/churn/1", "ran", dsn)
    assert again.action == "unchanged" and [line.partition(":")[0] for line in again.differs] == ["MLflow's model"]


@pytest.mark.parametrize("uri", ["models:/nothing/1", "models:/nothing@x", "models:/churn@x", "models:/churn/9", "models:/nothing", "runs:/0/model"])
def test_what_mlflow_does_not_know_is_an_error_with_its_name(registry, dsn, uri):
    with pytest.raises(E2iError, match=uri):
        push(uri, "nothing", dsn)
    with pytest.raises(E2iError, match="registry has no model nothing"):
        import_mlflow(dsn, names=("nothing",))


def test_a_whole_registry_is_imported_and_again_unchanged(registry, dsn, connection):
    first = import_mlflow(dsn)
    assert [(i.uri, i.reference, i.action) for i in first] == [
        ("models:/boosted/1", "boosted:1", "registered"),
        ("models:/churn/1", "churn:1", "registered"),
        ("models:/churn/2", "churn:2", "registered"),
    ]
    assert {i.action for i in import_mlflow(dsn)} == {"unchanged"}
    assert connection.execute("SELECT model_version, alias FROM ml.ml_model_aliases WHERE model_name = 'churn'").fetchall() == [
        ("1", "champion")
    ]
    assert connection.execute("SELECT stage FROM ml.ml_model_registry WHERE model_name = 'churn' ORDER BY model_version").fetchall() == [
        ("production",),
        ("development",),
    ]


def test_deployments_by_mlflows_own_client(registry, dsn, customers):
    from mlflow.deployments import get_deploy_client
    from mlflow.exceptions import MlflowException

    client = get_deploy_client(dsn)
    assert client.create_deployment("shop", "models:/churn@champion", config={"alias": "live"})["version"] == "shop:1"
    with pytest.raises(MlflowException, match="already"):
        client.create_deployment("shop", "models:/churn@champion")
    assert client.update_deployment("shop", "models:/churn/2")["version"] == "shop:2"
    assert client.get_deployment("shop")["model_uri"] == "models:/shop/2"
    assert "shop" in [d["name"] for d in client.list_deployments()]
    frame = customers[0].head(20)
    predictions = client.predict("shop", frame).get_predictions()
    np.testing.assert_allclose(predictions.iloc[:, 0], registry.predict_proba(frame)[:, 1], atol=1e-12)
    push("models:/boosted/1", "explained", dsn)
    explained = client.explain("explained", frame[NUMBERS].astype(float).head(2))
    assert len(explained) == 2 and {"base_value", "contributions"} <= set(explained.columns), explained.columns
    client.delete_deployment("shop")
    client.delete_deployment("shop")
    with pytest.raises(MlflowException, match="no deployment"):
        client.get_deployment("shop")
    with pytest.raises(MlflowException, match="-C"):
        client.create_deployment("shop", "models:/churn/1", config={"nonsense": 1})


def test_deployments_by_mlflows_command(registry, dsn, customers, tmp_path):
    import json

    from click.testing import CliRunner
    from mlflow.deployments.cli import commands

    def mlflow_deployments(command, *arguments, status=0):
        done = CliRunner().invoke(commands, [command, *arguments, "-t", dsn])
        assert done.exit_code == status, done.output + str(done.exception)
        return done.output + (str(done.exception) if status else "")

    frame = customers[0].head(4)[NUMBERS].astype(float)
    (tmp_path / "rows.json").write_text(frame.to_json(orient="records"))
    made = mlflow_deployments("create", "--name", "typed", "-m", "models:/boosted/1", "-C", "alias=live")
    assert "typed is created" in made, made
    listed = mlflow_deployments("list")
    assert "typed" in listed, listed
    assert "typed:1" in mlflow_deployments("get", "--name", "typed")
    answered = mlflow_deployments("predict", "--name", "typed", "-I", str(tmp_path / "rows.json"))
    assert len(json.loads(answered)["predictions"]) == 4, answered
    explained = mlflow_deployments("explain", "--name", "typed", "-I", str(tmp_path / "rows.json"))
    assert all(name in explained for name in NUMBERS), explained
    mlflow_deployments("delete", "--name", "typed")
    assert "no deployment" in mlflow_deployments("get", "--name", "typed", status=1)


def test_whatever_mlflows_client_takes_is_predicted(registry, dsn, customers, tmp_path):
    import json

    import pandas as pd
    from mlflow.deployments import get_deploy_client

    client = get_deploy_client(dsn.replace("postgresql://", "e2i://"))
    push("models:/churn/1", "forms", dsn)
    frame = customers[0].dropna().head(3)
    expected = registry.predict_proba(frame)[:, 1]
    columns = {name: frame[name].to_numpy() for name in frame}
    for inputs in (frame, columns, {name: values.tolist() for name, values in columns.items()}, frame.to_dict(orient="records")):
        np.testing.assert_allclose(client.predict("forms", inputs)["predictions"], expected, atol=1e-12)
    payload = tmp_path / "payload.json"  # as MLflow's command reads it
    for name, orient in (("dataframe_split", "split"), ("dataframe_records", "records")):
        payload.write_text(json.dumps({name: json.loads(frame.to_json(orient=orient))}))
        np.testing.assert_allclose(client.predict("forms", pd.read_json(payload))["predictions"], expected, atol=1e-12)
    numbers = customers[0][NUMBERS].astype(float).head(3)
    push("models:/boosted/1", "arrays", dsn)
    by_name = client.predict("arrays", numbers)["predictions"]
    assert client.predict("arrays", numbers.to_numpy())["predictions"] == by_name
