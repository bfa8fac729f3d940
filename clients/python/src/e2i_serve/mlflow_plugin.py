"""MLflow's deployments: ``mlflow deployments create -t postgresql://… -m models:/churn@champion --name churn``.

A deployment is a service: a name with one active version. MLflow finds this module by the scheme of the target.
"""

from __future__ import annotations

import json
from typing import Any

import psycopg
from mlflow.deployments import BaseDeploymentClient, PredictionsResponse
from mlflow.exceptions import MlflowException

from .database import Database, open_database
from .errors import E2iError
from .push import Pushed, push
from .rows import pandas

#: Of -C: what push takes, and how it is read from text.
OPTIONS: dict[str, Any] = {
    "alias": str,
    "version": str,
    "description": str,
    "sample": str,
    "tolerance": float,
    "rows": int,
    "allow_pickle": lambda text: str(text).lower() == "true",
}


def run_local(target: str, name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None) -> None:
    """Of MLflow's interface; a server that is made for one model is not what this is."""
    raise MlflowException("a database is not started by MLflow: start PostgreSQL, then mlflow deployments create -t postgresql://…")


def target_help() -> str:
    """What MLflow prints for ``mlflow deployments help -t postgresql``."""
    options = ", ".join(OPTIONS)
    return (
        "target: a connection string, postgresql://user@host/database (postgres:// and e2i:// mean the same), of a database with the "
        f"extension e2i_serve.\n-C, of create and update: {options}; of predict: output=prediction|label|probabilities|vector."
    )


class E2iDeploymentClient(BaseDeploymentClient):  # type: ignore[misc]
    """Deployments in one database, which the target names."""

    def create_deployment(
        self, name: str, model_uri: str, flavor: str | None = None, config: dict[str, Any] | None = None, endpoint: str | None = None
    ) -> dict[str, Any]:
        """Pushes a model, proves it, and deploys it under its name."""
        with self._database() as database:
            if database.value("SELECT 1 FROM {e2i}.e2i_services WHERE service = %s", (name,)):
                raise MlflowException(f'there is a deployment "{name}" already: mlflow deployments update')
        return self._deployment(self._push(name, model_uri, config))

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: dict[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Deploys another version."""
        if model_uri is None:
            raise MlflowException("say which model: -m models:/…")
        self.get_deployment(name)
        return self._deployment(self._push(name, model_uri, config))

    def delete_deployment(self, name: str, config: dict[str, Any] | None = None, endpoint: str | None = None) -> None:
        """Ends the deployment; the versions stay registered. Of one that does not exist it does nothing, as MLflow asks."""
        with self._database() as database:
            if database.value("SELECT 1 FROM {e2i}.e2i_services WHERE service = %s", (name,)):
                database.value("SELECT version FROM {e2i}.e2i_undeploy(%s)", (name,))

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """All services that the role may see."""
        with self._database() as database:
            return database.rows(
                "SELECT service AS name, version, 'models:/' || replace(version, ':', '/') AS model_uri, stage, health "
                "FROM {e2i}.e2i_services ORDER BY service"
            )

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """One of them."""
        for deployment in self.list_deployments():
            if deployment["name"] == name:
                return deployment
        raise MlflowException(f'there is no deployment "{name}"')

    def predict(self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None) -> Any:
        """One prediction a row of a data frame or of MLflow's other forms, as `e2i_predict` gives it."""
        if deployment_name is None:
            raise MlflowException("say which deployment: --name churn")
        with self._database() as database:
            answer = database.value(
                "SELECT {e2i}.e2i_serve(%s, %s::jsonb)", (deployment_name, json.dumps({"features": _features(inputs)}))
            )
        return PredictionsResponse({"predictions": answer["predictions"]})

    def explain(self, deployment_name: str | None = None, df: Any = None, endpoint: str | None = None) -> Any:
        """What each feature adds to each row's number, with the base value: a data frame of one row a row."""
        if deployment_name is None:
            raise MlflowException("say which deployment: --name churn")
        with self._database() as database:
            return pandas().DataFrame(_explained(database, deployment_name, json.dumps(_features(df))))

    def _database(self) -> _Opened:
        return _Opened(self.target_uri)

    def _push(self, name: str, model_uri: str, config: dict[str, Any] | None) -> Pushed:
        options: dict[str, Any] = {}
        for option, text in (config or {}).items():
            if option not in OPTIONS:
                raise MlflowException(f"-C {option}: there are {', '.join(OPTIONS)}")
            options[option] = OPTIONS[option](text)
        try:
            return push(model_uri, name, self.target_uri, deploy=True, **options)
        except E2iError as problem:
            raise MlflowException(str(problem)) from problem

    def _deployment(self, pushed: Pushed) -> dict[str, Any]:
        return {**self.get_deployment(pushed.reference.partition(":")[0]), "flavor": pushed.form}


class _Opened:
    """A database whose problems are MLflow's errors."""

    def __init__(self, target: str) -> None:
        self.context = open_database(target)

    def __enter__(self) -> Database:
        try:
            return self.context.__enter__()
        except E2iError as problem:
            raise MlflowException(str(problem)) from problem

    def __exit__(self, *problem: Any) -> Any:
        return self.context.__exit__(*problem)


def _explained(database: Database, name: str, rows: str) -> list[Any]:
    """In the model's own units where it adds up in them, else in probabilities."""
    rows_of = "FROM pg_catalog.jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS r (row, number) ORDER BY number"
    try:
        found = database.rows("SELECT {e2i}.e2i_explain(%s, r.row) AS one " + rows_of, (name, rows))
    except psycopg.errors.FeatureNotSupported:
        found = database.rows("SELECT {e2i}.e2i_explain(%s, r.row, space => 'probability') AS one " + rows_of, (name, rows))
    return [row["one"] for row in found]


def _features(inputs: Any) -> Any:
    """A data frame, an array, or named arrays, as rows."""
    from .rows import records

    pd = pandas()
    if isinstance(inputs, dict):
        inputs = pd.DataFrame(inputs)
    if isinstance(inputs, pd.DataFrame) and len(inputs.columns) == 1:
        # What MLflow's command makes of a file that is a payload of its scoring server: a column of that name.
        (name,) = inputs.columns
        if name == "dataframe_split":
            split = inputs[name].to_dict()
            inputs = pd.DataFrame(split["data"], columns=split.get("columns"))
        elif name == "dataframe_records":
            inputs = pd.DataFrame(inputs[name].tolist())
    if not isinstance(inputs, pd.DataFrame):
        return records(pd.DataFrame(inputs), by_position=True)
    return records(inputs, by_position=list(inputs.columns) == list(range(inputs.shape[1])))
