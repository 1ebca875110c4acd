"""Convert a model to an ONNX file, whose lookup tables turn texts into numbers."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from exporting.litert import silenced_output
from inference.portable import CodeTable, Portable, RefusedError

OPSET_VERSION = 18
TABLE_DOMAIN, TABLE_DOMAIN_VERSION = "ai.onnx.ml", 2  # the operators of lookup tables


def without_tables(portable: Portable) -> Portable:
    """Return the model with texts as inputs, since an ONNX file holds the tables itself.

    Raises RefusedError for texts that are no UTF-8.
    """
    for name, table in portable.tables.items():
        try:
            "".join(table.known).encode()
        except UnicodeEncodeError as error:
            raise RefusedError(
                f"Received --format onnx for {name!r} with texts that are no UTF-8; expected "
                "UTF-8, the only encoding of ONNX. Remove onnx from --format, or correct the data.",
                reason="texts that are no UTF-8",
            ) from error
    inputs = (
        tf.TensorSpec(spec.shape, tf.string, spec.name) if spec.name in portable.tables else spec
        for spec in portable.inputs
    )
    return dataclasses.replace(portable, inputs=tuple(inputs), tables={})


def convert(portable: Portable, labels: list[str]) -> bytes:
    """Return the content of an .onnx file. Raises RefusedError for unsupported operations."""
    import onnx
    import tf2onnx

    def by_position(*tensors: Any) -> dict[str, Any]:
        specs = portable.inputs
        return portable.function(**{s.name: t for s, t in zip(specs, tensors, strict=True)})

    signature = list(portable.inputs)
    function = tf.function(by_position, autograph=False, input_signature=signature)
    with silenced_output():
        try:
            model, _ = tf2onnx.convert.from_function(function, signature, opset=OPSET_VERSION)
            # tf2onnx keeps operations that it cannot convert, and only logs them.
            onnx.checker.check_model(model)
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise RefusedError(
                f"Received --format onnx for a model that it cannot represent: {reason}; expected "
                "operations of ONNX. Remove onnx from --format.",
                reason="an operation is missing",
            ) from error
    if TABLE_DOMAIN not in {opset.domain for opset in model.opset_import}:
        model.opset_import.add(domain=TABLE_DOMAIN, version=TABLE_DOMAIN_VERSION)
    for name, table in portable.tables.items():
        _accept_texts(model, name, table)
    if labels:
        _name_classes(model, labels)
    return model.SerializeToString()


def _accept_texts(model: Any, name: str, table: CodeTable) -> None:
    """Replace an input of numbers by an input of texts and a lookup table."""
    from onnx import TensorProto, helper

    graph, number = model.graph, f"{name}/number"
    for node in graph.node:
        for index, input_name in enumerate(node.input):
            if input_name == name:
                node.input[index] = number
    (value,) = (value for value in graph.input if value.name == name)
    value.type.tensor_type.elem_type = TensorProto.STRING
    # ONNX refuses an empty table, so it gets an entry for the empty text.
    codes = table.codes or {"": table.unknown}
    lookup = helper.make_node(
        "LabelEncoder",
        [name],
        [f"{name}/long"],
        domain=TABLE_DOMAIN,
        keys_strings=list(codes),
        values_int64s=list(codes.values()),
        default_int64=table.unknown,
    )
    cast = helper.make_node("Cast", [f"{name}/long"], [number], to=TensorProto.INT32)
    graph.node.insert(0, cast)
    graph.node.insert(0, lookup)


def _name_classes(model: Any, labels: list[str]) -> None:
    """Add an output with the name of the most probable class."""
    from onnx import TensorProto, helper

    graph = model.graph
    graph.node.append(
        helper.make_node("ArgMax", ["probabilities"], ["class/place"], axis=-1, keepdims=0)
    )
    graph.node.append(
        helper.make_node(
            "LabelEncoder",
            ["class/place"],
            ["class"],
            domain=TABLE_DOMAIN,
            keys_int64s=np.arange(len(labels)).tolist(),
            values_strings=labels,
            default_string="",
        )
    )
    graph.output.append(helper.make_tensor_value_info("class", TensorProto.STRING, [None]))
