"""The gateway, asked by the clients that its protocols have: Triton's, KServe's, BentoML's. Those that are not installed are left out."""

import asyncio

import numpy as np
import pytest
from test_gateway import KEY, gateway, rows  # noqa: F401

TYPES = {"tenure": ("INT64", np.int64), "engagement": ("FP32", np.float32), "region": ("BYTES", np.object_), "active": ("BOOL", np.bool_)}


@pytest.fixture
def asked(gateway, rows):  # noqa: F811
    """The address, a frame whose floats are float32, and what the library says of it."""
    frame = rows[0].assign(engagement=rows[0]["engagement"].astype(np.float32).astype(float))
    assert frame["engagement"].isna().any()
    return str(gateway[0].base_url).rstrip("/"), frame, gateway[1].predict_proba(frame)


@pytest.fixture(params=[True, False], ids=["binary", "json"])
def binary(request):
    return request.param


def test_tritons_client(asked, binary):
    triton = pytest.importorskip("tritonclient.http")
    url, frame, expected = asked
    headers = {"Authorization": f"Bearer {KEY}"}
    with triton.InferenceServerClient(url.removeprefix("http://")) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("churn", headers=headers) and client.is_model_ready("churn", "1", headers=headers)
        assert not client.is_model_ready("nothing", headers=headers)
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        metadata = client.get_model_metadata("churn", headers=headers)
        assert {i["name"] for i in metadata["inputs"]} == set(TYPES) and [o["name"] for o in metadata["outputs"]] == ["predictions", "probabilities"]
        inputs = []
        for name, (datatype, kind) in TYPES.items():
            if not binary:  # the client writes NaN into JSON, which is none
                frame = frame.fillna({"engagement": 0.25})
            one = triton.InferInput(name, [len(frame), 1], datatype)
            one.set_data_from_numpy(frame[[name]].to_numpy().astype(kind), binary_data=binary)
            inputs.append(one)
        wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "predictions")]
        for outputs in (wanted, None):
            result = client.infer("churn", inputs, outputs=outputs, headers=headers, request_id="r-1")
            got = result.as_numpy("probabilities")
            assert result.get_response()["id"] == "r-1" and got.shape == (len(frame), 2)
            has_value = asked[1]["engagement"].notna().to_numpy() | binary
            np.testing.assert_allclose(got[has_value], expected[has_value], atol=1e-12)
            np.testing.assert_array_equal(result.as_numpy("predictions"), got[:, 1])
        with pytest.raises(triton.InferenceServerException, match='"active"'):
            client.infer("churn", inputs[:3], headers=headers)
        with pytest.raises(triton.InferenceServerException, match="there is no output 'logits'"):
            client.infer("churn", inputs, outputs=[triton.InferRequestedOutput("logits")], headers=headers)
        with pytest.raises(triton.InferenceServerException, match="an API key is needed"):
            client.infer("churn", inputs)


def test_kserves_client(asked, binary):
    kserve = pytest.importorskip("kserve")
    url, frame, expected = asked
    headers = {"Authorization": f"Bearer {KEY}"}

    async def ask():
        client = kserve.InferenceRESTClient(kserve.inference_client.RESTConfig(protocol="v2"))
        assert await client.is_server_live(url) and await client.is_server_ready(url)
        assert await client.is_model_ready(url, "churn", headers=headers)
        inputs = []
        for name, (datatype, kind) in TYPES.items():
            one = kserve.InferInput(name, [len(frame), 1], datatype)
            values = frame.fillna({"engagement": 0.25})[[name]].to_numpy().astype(kind)
            one.set_data_from_numpy(values, binary_data=binary)
            inputs.append(one)
        request = kserve.InferRequest("churn", inputs, parameters={"binary_data_output": True} if binary else None)
        answer = await client.infer(url, request, model_name="churn", headers=headers)
        await client.close()
        return answer

    answer = asyncio.run(ask())
    got = next(output for output in answer.outputs if output.name == "probabilities").as_numpy()
    has_value = frame["engagement"].notna().to_numpy()
    np.testing.assert_allclose(got[has_value], expected[has_value], atol=1e-12)


def test_bentomls_client(asked, rows):  # noqa: F811
    bentoml = pytest.importorskip("bentoml")
    url, _, _ = asked
    records = rows[1]
    with bentoml.SyncHTTPClient(url, token=KEY) as client:
        assert client.is_ready()
        answer = client.predict(input_data={"features": records})
        assert answer["model_id"] == "churn:1" and len(answer["predictions"]) == len(records)
        assert client.predict_batch(input_data=records)["predictions"] == answer["predictions"]
        assert client.predict(input_data={"features": records[0]})["predictions"] == answer["predictions"][:1]
        with pytest.raises(bentoml.exceptions.BentoMLException, match="engagement"):
            client.predict(input_data={"features": {"tenure": 1}})


def test_bytes_that_are_not_what_they_say(gateway):  # noqa: F811
    import json
    import struct

    client, _ = gateway
    tensor = {"name": "tenure", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}
    head = json.dumps({"inputs": [tensor]}).encode()

    def ask(body, length=len(head)):
        answer = client.post("/v2/models/churn/infer", content=body, headers={"Inference-Header-Content-Length": str(length)})
        assert answer.status_code == 400, answer.text
        return answer.json()["error"]

    assert "features of model churn:1 are missing" in ask(head + struct.pack("<f", 3))
    assert "belong to no tensor" in ask(head + b"12345")
    assert "does not hold" in ask(head + b"123")
    assert "no number of bytes" in ask(head, 10_000)
    assert "no number of bytes" in ask(head, "-1")
    for change, why in (
        ({"datatype": "FP128"}, "has the datatype"),
        ({"datatype": "INT64"}, "no whole number of INT64"),
        ({"datatype": "BYTES"}, "longer than its bytes"),
        ({"parameters": {"binary_data_size": True}}, "does not hold"),
        ({"parameters": 3}, ""),
    ):
        other = json.dumps({"inputs": [{**tensor, **change}]}).encode()
        assert why in ask(other + b"\xff\0\0\0", len(other))


@pytest.mark.parametrize(
    "datatype, bytes_, values",
    [
        ("BOOL", b"\0\1", [False, True]),
        ("UINT64", b"\xff" * 8, [2**64 - 1]),
        ("INT8", b"\xff", [-1]),
        ("FP16", b"\0\x3c\0\x7e", [1.0, None]),
        ("BF16", b"\x80\x3f\x80\xff", [1.0, "-Infinity"]),
        ("FP64", np.float64(0.1).tobytes(), [0.1]),
        ("BYTES", b"\2\0\0\0\xc3\xa4\0\0\0\0", ["ä", ""]),
    ],
)
def test_each_datatype_in_bytes(datatype, bytes_, values):
    from e2i_serve.gateway.inference import _values

    assert _values({"name": "x", "datatype": datatype}, bytes_) == values
