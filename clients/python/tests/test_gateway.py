"""The gateway over HTTP, as a process of its own: routes, keys, limits, protocols."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
import psycopg
import pytest
from e2i_serve import E2iError, push
from e2i_serve.gateway.settings import read_keys
from test_push import pipeline

KEY, OTHER = "k" * 32, "o" * 32


def started(dsn, folder, *options):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "e2i_serve", "gateway", "--to", dsn, "--port", str(port), *options]
    process = subprocess.Popen(command, stderr=open(folder / "gateway.log", "w"))
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx.get(url + "/v2/health/live")
            return process, url
        except httpx.TransportError:
            assert process.poll() is None, (folder / "gateway.log").read_text()
            time.sleep(0.05)
    raise AssertionError("the gateway did not start")


@pytest.fixture(scope="module")
def gateway(dsn, customers, tmp_path_factory):
    """A gateway with a key that may score churn and one that may nothing, its address and the model."""
    model = pipeline(customers)
    push(model, "churn", dsn, sample=customers[0])
    folder = tmp_path_factory.mktemp("gateway")
    with psycopg.connect(dsn, autocommit=True) as connection:
        # Roles are the cluster's: other modules' tests, which may run beside, have others.
        scorer, nobody = (f"{kind}_{connection.info.dbname}" for kind in ("scorer", "nobody"))
        connection.execute(f"CREATE ROLE {scorer}; CREATE ROLE {nobody}")
        connection.execute(f"GRANT USAGE ON SCHEMA ml TO {scorer}; SELECT ml.e2i_grant_usage('{scorer}', 'scorer')")
    keys = folder / "keys.json"
    keys.write_text(json.dumps({KEY: scorer, OTHER: nobody}))
    keys.chmod(0o600)
    process, url = started(dsn, folder, "--keys", str(keys), "--model", "churn", "--max-body", "100000", "--timeout", "5")
    yield httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30), model
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) in (0, -signal.SIGTERM)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {scorer}, {nobody}; DROP ROLE {scorer}, {nobody}")


@pytest.fixture(scope="module")
def rows(customers):
    frame = customers[0].head(5)
    return frame, json.loads(frame.to_json(orient="records"))


def test_the_platforms_routes(gateway, rows):
    client, model = gateway
    expected = model.predict_proba(rows[0])[:, 1]
    one = client.post("/predict", json={"input_data": {"features": rows[1][0]}})
    assert one.status_code == 200 and one.json()["model_id"] == "churn:1"
    np.testing.assert_allclose(one.json()["predictions"], expected[:1], atol=1e-12)
    bodies = {
        "/predict": {"features": rows[1]},
        "/churn/predict": {"features": rows[1]},
        "/predict?model=churn:1": {"features": rows[1]},
        "/predict_batch": rows[1],
        "/churn/predict_batch": {"input_data": rows[1]},
    }
    for path, body in bodies.items():
        answer = client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        np.testing.assert_allclose(answer.json()["predictions"], expected, atol=1e-12)


def test_mlflows_invocations(gateway, rows):
    client, model = gateway
    frame, records = rows
    columns = {name: [row[name] for row in records] for name in records[0]}
    split = {"columns": list(columns), "data": [list(row.values()) for row in records]}
    expected = model.predict_proba(frame)[:, 1]
    for body in ({"dataframe_split": split}, {"dataframe_records": records}, {"instances": records}, {"inputs": columns}):
        answer = client.post("/invocations", json=body)
        assert answer.status_code == 200, answer.text
        np.testing.assert_allclose(answer.json()["predictions"], expected, atol=1e-12)
    assert client.get("/ping").status_code == 200
    assert client.get("/version").text == "0.2.0"
    assert client.post("/invocations", json={"data": []}).status_code == 400


def test_the_open_inference_protocol(gateway, rows):
    client, model = gateway
    frame, records = rows
    types = {"tenure": "INT64", "engagement": "FP64", "region": "BYTES", "active": "BOOL"}
    inputs = [{"name": n, "shape": [5, 1], "datatype": t, "data": [r[n] for r in records]} for n, t in types.items()]
    for path, version in (("/v2/models/churn/infer", "1"), ("/v2/models/churn/versions/1/infer", "1")):
        answer = client.post(path, json={"id": "a", "inputs": inputs}).json()
        assert (answer["model_name"], answer["model_version"], answer["id"]) == ("churn", version, "a")
        predictions, probabilities = answer["outputs"]
        assert (predictions["name"], predictions["datatype"], predictions["shape"]) == ("predictions", "FP64", [5])
        assert probabilities["shape"] == [5, 2]
        np.testing.assert_allclose(np.reshape(probabilities["data"], (5, 2)), model.predict_proba(frame), atol=1e-12)
    only = client.post("/v2/models/churn/infer", json={"inputs": inputs, "outputs": [{"name": "probabilities"}]}).json()
    assert [output["name"] for output in only["outputs"]] == ["probabilities"]
    metadata = client.get("/v2/models/churn").json()
    assert metadata["versions"] == ["1"] and {i["name"] for i in metadata["inputs"]} == set(types)
    assert client.get("/v2/models/churn/ready").json()["ready"] is True
    assert client.get("/v2/models/churn/versions/9/ready").status_code == 404
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").json()["name"] == "e2i_serve"
    short = [{**inputs[0], "data": [1]}]
    assert client.post("/v2/models/churn/infer", json={"inputs": short}).status_code == 400


def test_a_key_has_the_rights_of_its_role_and_no_other(gateway, rows):
    client, _ = gateway
    body = {"features": rows[1][0]}
    assert httpx.post(f"{client.base_url}/predict", json=body).status_code == 401
    for _ in range(10):  # the same connections change roles between requests
        assert client.post("/predict", json=body).status_code == 200
        assert client.post("/predict", json=body, headers={"Authorization": f"Bearer {OTHER}"}).status_code in (403, 404)
        assert client.post("/predict", json=body, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert httpx.post(f"{client.base_url}/predict", json=body, headers={"X-API-Key": KEY}).status_code == 200


def test_errors_say_what_was_wrong(gateway, rows):
    client, _ = gateway
    missing = client.post("/predict", json={"features": {"tenure": 1}})
    assert missing.status_code == 400 and "engagement" in missing.json()["error"]
    assert client.post("/nothing/predict", json={"features": []}).status_code == 404
    assert client.post("/predict", content=b"{").status_code == 400
    assert client.post("/predict", content=b"\xff").status_code == 400
    assert client.post("/predict", json={"features": {"region": "\0"}}).status_code == 400
    assert client.post("/predict", content=b" " * 100001).status_code == 413
    assert client.post("/predict", content=iter([b" " * 60000] * 3)).status_code == 413
    assert client.get("/predict").status_code == 405
    assert client.get("/no/such/path").status_code == 404


def test_health_metrics_and_the_description(gateway):
    client, _ = gateway
    assert client.get("/openapi.json").json()["openapi"].startswith("3.")
    assert "/predict" in client.get("/docs").text
    assert client.get("/health").status_code in (200, 403)
    assert client.get("/metrics").status_code in (200, 403)
    assert [route["name"] for route in client.get("/schema.json").json()["routes"]] == ["predict", "predict_batch"]
    for path in ("/livez", "/readyz", "/healthz"):
        assert httpx.get(f"{client.base_url}{path}").status_code == 200
    assert client.post("/predict?model=", json={"features": []}).status_code == 400


#: Which features a model has the description cannot say, so what it allows may still be refused; but only by these.
SCHEMATHESIS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "413"]
"""


@pytest.mark.parametrize("parameters", ["", '[parameters]\n"path.model" = "churn"\n"path.version" = "1"\n'], ids=["any model", "churn"])
def test_schemathesis_finds_nothing(gateway, tmp_path, parameters):
    """All its checks on all routes with what the description allows and what it does not: no error of the server's, no answer that is not
    described, no wrong request taken, no key ignored. But for /health, which is 503 where a service is unhealthy. E2I_EXAMPLES: how many
    a route."""
    pytest.importorskip("schemathesis")
    client, _ = gateway
    (tmp_path / "schemathesis.toml").write_text(parameters + SCHEMATHESIS)
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(client.base_url.join("/openapi.json")), "--checks", "all", "--mode", "all",
               "--max-examples", os.environ.get("E2I_EXAMPLES", "6"), "--exclude-path", "/health", "--header",
               f"Authorization: Bearer {KEY}", "--no-color", "--seed", "1"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert "Tested: 21" in done.stdout.replace("21/21", ""), done.stdout[-3000:]


def test_requests_under_way_are_answered_when_it_is_stopped(dsn, gateway, rows, tmp_path):
    process, url = started(dsn, tmp_path, "--anonymous-role", "postgres", "--model", "churn")
    with psycopg.connect(dsn) as holder:
        holder.execute("LOCK TABLE ml.ml_bentoml_services IN ACCESS EXCLUSIVE MODE")
        answers = []
        asking = threading.Thread(target=lambda: answers.append(httpx.get(url + "/health", timeout=20).status_code))
        asking.start()
        deadline = time.monotonic() + 20
        with psycopg.connect(dsn, autocommit=True) as watching:
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'e2i-serve gateway'"
            while watching.execute(waits).fetchone() == (0,) and time.monotonic() < deadline:
                time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    asking.join()
    assert answers == [200]
    assert process.wait(20) in (0, -signal.SIGTERM)


def test_keys_that_others_may_read_are_refused(tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({KEY: "a"}))
    keys.chmod(0o644)
    with pytest.raises(E2iError, match="chmod 600"):
        read_keys(keys)
    keys.chmod(0o600)
    assert read_keys(keys) == {KEY: "a"}
    keys.write_text(json.dumps({"short": "a"}))
    os.chmod(keys, 0o600)
    with pytest.raises(E2iError, match="16 characters"):
        read_keys(keys)


def test_what_takes_too_long_is_ended(dsn, gateway, tmp_path):
    process, url = started(dsn, tmp_path, "--anonymous-role", "postgres", "--model", "churn", "--timeout", "1", "--connections", "1")
    try:
        with psycopg.connect(dsn) as holder:
            holder.execute("LOCK TABLE ml.ml_bentoml_services IN ACCESS EXCLUSIVE MODE")
            answer = httpx.get(url + "/health", timeout=30)
        assert answer.status_code == 504 and "timeout" in answer.json()["error"], answer.text
        assert httpx.get(url + "/health", timeout=30).status_code in (200, 503)  # and the connection is as it was
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_no_free_connection_and_no_database_are_503():
    from e2i_serve.gateway.errors import answer_to
    from psycopg_pool import PoolTimeout, TooManyRequests

    for problem in (PoolTimeout(), TooManyRequests(), psycopg.OperationalError("connection refused"), psycopg.errors.TooManyConnections()):
        assert answer_to(problem).status_code == 503
    assert answer_to(psycopg.errors.InternalError_()).body == b'{"error":"the database failed","sqlstate":"XX000"}'
