"""JSON descriptions of models: versions, signatures, and the model info of exports."""

from typing import Any

import orjson
from google.protobuf import json_format

from inference.request_errors import RequestError
from serving.versions import Model, Models


def status(model: Model, number: int | None) -> bytes:
    """Return TensorFlow Serving's GetModelStatusResponse in JSON. Raises RequestError."""
    statuses = [
        {
            "version": str(one.version),
            "state": one.state,
            "status": {"error_code": one.code, "error_message": one.message},
        }
        for one in model.statuses(number)
    ]
    return orjson.dumps({"model_version_status": statuses}, option=orjson.OPT_INDENT_2)


def metadata(model: Model, number: int | None) -> bytes:
    """Return TensorFlow Serving's GetModelMetadataResponse in JSON. Raises RequestError."""
    with model.use(number) as servable:
        signatures = {
            name: json_format.MessageToDict(
                one, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
            )
            for name, one in servable.definitions.items()
        }
        spec = {"name": model.name, "signature_name": "", "version": str(servable.number)}
    content = {"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def drift(model: Model, number: int | None) -> bytes:
    """Return how the inputs of requests differ from the training examples. Raises RequestError."""
    with model.use(number) as servable:
        if servable.watch is None:
            raise RequestError(
                "FAILED_PRECONDITION",
                f"Requests of {model.name} are not watched; start the server with --watch",
            )
        content = {"model": model.name, "version": servable.number, **servable.watch.drift()}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def describe_models(models: Models) -> list[dict[str, Any]]:
    """List all served models: name, version and the model info of the export.

    TensorFlow Serving has no such list; the web page needs it.
    """
    served = [(model.name, model.current) for model in models.by_name.values()]
    return [
        {"name": name, "version": one.number, "about": one.about} for name, one in served if one
    ]
