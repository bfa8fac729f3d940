"""The Open Inference Protocol, version 2: tensors in, tensors out. Shapes and names only; scoring is the server's."""

from __future__ import annotations

from typing import Any

from .errors import Refused

#: What the model's types are called in the protocol.
DATATYPES = {
    "float32": "FP32", "float64": "FP64", "float": "FP32", "double": "FP64", "int64": "INT64", "int32": "INT32", "bool": "BOOL",
    "boolean": "BOOL", "string": "BYTES", "long": "INT64", "integer": "INT32",
}  # fmt: skip
ACCEPTED = {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"}


def rows_of(request: Any) -> list[Any]:
    """The rows that a request's tensors hold: a tensor ``[N]`` or ``[N, 1]`` a feature, or one of ``[N, F]`` by position."""
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list) or not request["inputs"]:
        raise Refused(400, 'the request has no "inputs", a list of tensors')
    tensors = [_tensor(tensor) for tensor in request["inputs"]]
    if len(tensors) == 1 and tensors[0][2] > 1:
        _, values, width = tensors[0]
        return [values[i : i + width] for i in range(0, len(values), width)]
    wide = next((name for name, _, width in tensors if width != 1), None)
    if wide is not None:
        raise Refused(400, f'the tensor "{wide}" has several columns; of several tensors each is one feature, [N] or [N, 1]')
    lengths = {len(values) for _, values, _ in tensors}
    if len(lengths) != 1:
        raise Refused(400, "the tensors have different numbers of rows")
    names = [name for name, _, _ in tensors]
    if len(set(names)) != len(names):
        raise Refused(400, "two tensors have one name")
    return [dict(zip(names, row)) for row in zip(*(values for _, values, _ in tensors))]


def _tensor(tensor: Any) -> tuple[str, list[Any], int]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise Refused(400, "an input is not a tensor with a name")
    name, shape, data = tensor["name"], tensor.get("shape"), tensor.get("data")
    if tensor.get("datatype") not in ACCEPTED:
        raise Refused(400, f'the tensor "{name}" has the datatype {tensor.get("datatype")!r}: {", ".join(sorted(ACCEPTED))}')
    sizes = isinstance(shape, list) and all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape)
    if not sizes or not isinstance(shape, list) or not 1 <= len(shape) <= 2:
        raise Refused(400, f'the tensor "{name}" has no shape [N] or [N, F]')
    if not isinstance(data, list):
        raise Refused(400, f'the tensor "{name}" has no "data" (binary data is not taken)')
    flat = [value for part in data for value in (part if isinstance(part, list) else [part])]
    width = shape[1] if len(shape) == 2 else 1
    if len(flat) != shape[0] * width or any(isinstance(value, (list, dict)) for value in flat):
        raise Refused(400, f'the tensor "{name}" has {len(flat)} values, and its shape {shape} says {shape[0] * width}')
    return name, flat, width


def response_to(request: dict[str, Any], model: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer as tensors: predictions, and probabilities where there are some."""
    outputs = [_output("predictions", answer["predictions"])]
    if "probabilities" in answer:
        outputs.append(_output("probabilities", answer["probabilities"]))
    wanted = [output.get("name") for output in request.get("outputs") or [] if isinstance(output, dict)]
    if wanted:
        known = {output["name"]: output for output in outputs}
        missing = [name for name in wanted if name not in known]
        if missing:
            raise Refused(400, f"there is no output {missing[0]!r}: {', '.join(known)}")
        outputs = [known[name] for name in wanted]
    response = {"model_name": model, "model_version": answer["model_id"].rpartition(":")[2], "outputs": outputs}
    if isinstance(request.get("id"), str):
        response["id"] = request["id"]
    return response


def _output(name: str, rows: list[Any]) -> dict[str, Any]:
    width = len(rows[0]) if rows and isinstance(rows[0], list) else None
    flat = [value for row in rows for value in row] if width is not None else rows
    text = any(isinstance(value, str) and value not in ("NaN", "Infinity", "-Infinity") for value in flat)
    return {"name": name, "datatype": "BYTES" if text else "FP64", "shape": [len(rows)] + ([width] if width is not None else []), "data": flat}


def metadata(model: str, versions: list[str], described: list[dict[str, Any]]) -> dict[str, Any]:
    """What a model takes and gives, as the protocol says it."""
    return {
        "name": model,
        "versions": versions,
        "platform": "e2i_serve",
        "inputs": [{"name": f["name"], "datatype": DATATYPES.get(f["type"], "FP64"), "shape": [-1]} for f in described],
        "outputs": [{"name": "predictions", "datatype": "FP64", "shape": [-1]}],
    }
