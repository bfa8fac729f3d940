"""The Open Inference Protocol, version 2, as far as HTTP goes: tensors in binary beside the JSON, and which outputs are wanted.

What tensors mean is the server's: `e2i_serve` takes them, and answers in them.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from .errors import Refused

#: What the model's types are called in the protocol.
DATATYPES = {
    "float32": "FP32", "float64": "FP64", "float": "FP32", "double": "FP64", "int64": "INT64", "int32": "INT32", "bool": "BOOL",
    "boolean": "BOOL", "string": "BYTES", "long": "INT64", "integer": "INT32",
}  # fmt: skip

#: Of datatypes of one size, how `struct` reads a value. BF16 is the upper half of an FP32.
LAYOUTS = {"BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
           "FP16": "e", "FP32": "f", "FP64": "d"}  # fmt: skip

#: The header that says how many bytes of a body are JSON; the tensors' bytes come after them.
HEADER = "Inference-Header-Content-Length"


def request_of(body: bytes, header: str | None) -> tuple[dict[str, Any], str]:
    """A request and its text for the server, with tensors that came as bytes as numbers and texts."""
    if header is None:
        text = _text(body)
        return _object(text), text
    if not header.isdigit() or int(header) > len(body):
        raise Refused(400, f"{HEADER} is no number of bytes that the body has")
    request = _object(_text(body[: int(header)]))
    rest, at = body[int(header) :], 0
    inputs = request.get("inputs")
    for tensor in inputs if isinstance(inputs, list) else []:
        own = tensor.get("parameters") if isinstance(tensor, dict) else None
        size = own.get("binary_data_size") if isinstance(own, dict) else None
        if size is None:
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(rest) - at:
            raise Refused(400, f'the tensor "{tensor.get("name")}" has a binary_data_size that the body does not hold')
        tensor["data"] = _values(tensor, rest[at : at + size])
        at += size
    if at != len(rest):
        raise Refused(400, f"{len(rest) - at} bytes of the body belong to no tensor")
    return request, json.dumps(request)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Refused(400, "the body is not UTF-8") from None


def _object(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        request = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(request, dict):
        raise Refused(400, 'the request is not an object with "inputs", a list of tensors')
    return request


def _values(tensor: dict[str, Any], data: bytes) -> list[Any]:
    """What bytes stand for, the first number of a row first; what JSON has no number for is text."""
    name, datatype = tensor.get("name"), tensor.get("datatype")
    if datatype == "BYTES":
        return _texts(name, data)
    if datatype == "BF16":
        data, datatype = b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2)), "FP32"
    layout = LAYOUTS.get(str(datatype))
    if layout is None:
        raise Refused(400, f'the tensor "{name}" has the datatype {datatype!r}: BF16, BYTES, {", ".join(LAYOUTS)}')
    if len(data) % struct.calcsize("<" + layout):
        raise Refused(400, f'the bytes of the tensor "{name}" are no whole number of {datatype}')
    values = struct.unpack(f"<{len(data) // struct.calcsize('<' + layout)}{layout}", data)
    if layout in "efd":
        return [value if value - value == 0 else None if value != value else "Infinity" if value > 0 else "-Infinity" for value in values]
    return list(values)


def _texts(name: Any, data: bytes) -> list[str]:
    """Texts, each after its length in four bytes."""
    texts, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if at + 4 > len(data) or end > len(data):
            raise Refused(400, f'a text of the tensor "{name}" is longer than its bytes')
        texts.append(_text(data[at + 4 : end]))
        at = end
    return texts


def response_to(request: dict[str, Any], model: str, answer: dict[str, Any]) -> tuple[bytes, str | None]:
    """The body of an answer, with the outputs that are wanted; and how much of it is JSON, where there are bytes after it."""
    if "outputs" not in answer:
        raise Refused(400, 'the request has no "inputs", a list of tensors')
    known = {output["name"]: output for output in answer["outputs"]}
    parameters = request.get("parameters")
    all_binary = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    asked = request.get("outputs")
    wanted = [o for o in asked if isinstance(o, dict)] if isinstance(asked, list) and asked else [{"name": name} for name in known]
    outputs, tail = [], b""
    for one in wanted:
        output = known.get(str(one.get("name")))
        if output is None:
            raise Refused(400, f"there is no output {one.get('name')!r}: {', '.join(known)}")
        own = one.get("parameters")
        if own.get("binary_data", all_binary) is True if isinstance(own, dict) else all_binary:
            data = _bytes(output)
            output = {**{k: v for k, v in output.items() if k != "data"}, "parameters": {"binary_data_size": len(data)}}
            tail += data
        outputs.append(output)
    response = {"model_name": model, "model_version": answer["model_version"], "outputs": outputs}
    if isinstance(request.get("id"), str):
        response["id"] = request["id"]
    head = json.dumps(response, ensure_ascii=False).encode()
    return head + tail, str(len(head)) if any("data" not in output for output in outputs) else None


def _bytes(output: dict[str, Any]) -> bytes:
    data = output["data"]
    if output["datatype"] == "BYTES":
        texts = [("" if value is None else str(value)).encode() for value in data]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return struct.pack(f"<{len(data)}d", *(float("nan" if value is None else value) for value in data))


def metadata(model: str, versions: list[str], described: list[dict[str, Any]], has_probabilities: bool) -> dict[str, Any]:
    """What a model takes and gives, as the protocol says it."""
    outputs: list[dict[str, Any]] = [{"name": "predictions", "datatype": "FP64", "shape": [-1]}]
    if has_probabilities:
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, -1]})
    return {
        "name": model,
        "versions": versions,
        "platform": "e2i_serve",
        "inputs": [{"name": f["name"], "datatype": DATATYPES.get(f["type"], "FP64"), "shape": [-1]} for f in described],
        "outputs": outputs,
    }
