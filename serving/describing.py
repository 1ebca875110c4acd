"""What is told of models: their versions, their signatures, what they answer."""

from typing import Any

import orjson
from google.protobuf import json_format

from serving.versions import Model, Models


def status(model: Model, number: int | None) -> bytes:
    """TensorFlow Serving's GetModelStatusResponse in JSON. Raises RequestError."""
    told = [
        {
            "version": str(one.version),
            "state": one.state,
            "status": {"error_code": one.code, "error_message": one.message},
        }
        for one in model.statuses(number)
    ]
    return orjson.dumps({"model_version_status": told}, option=orjson.OPT_INDENT_2)


def metadata(model: Model, number: int | None) -> bytes:
    """TensorFlow Serving's GetModelMetadataResponse in JSON. Raises RequestError."""
    with model.held(number) as servable:
        signatures = {
            name: json_format.MessageToDict(
                one, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
            )
            for name, one in servable.definitions.items()
        }
        spec = {"name": model.name, "signature_name": "", "version": str(servable.number)}
    told = {"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2)


def about_all(models: Models) -> list[dict[str, Any]]:
    """Every model that is served: its name, its version, and what its export tells of itself.

    TensorFlow Serving has no list of models; the page for people is made from this one.
    """
    served = [(model.name, model.current) for model in models.by_name.values()]
    return [
        {"name": name, "version": one.number, "about": one.about} for name, one in served if one
    ]
