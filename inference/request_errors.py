"""Errors of requests, with the messages and codes of TensorFlow Serving."""

import re

# TensorFlow Serving's codes and the HTTP status that it gives for each.
STATUS = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
# Names of nodes and functions that TensorFlow generated, which do not help the client.
GENERATED_NAMES = re.compile(r"\{\{[^{}]*\}\}|\[\[[^\[\]]*\]\]|\[Op:\w+\]|^\s*\(\d+\)\s+[A-Z_]+:")
ASSERTED = re.compile(r"^assertion failed: \[(.*)\]$")
# Lines about the program that built the node, around the message itself.
TRACE_PREFIXES = (
    "Graph execution error",
    "Detected at",
    "<stack traces",
    "File ",
    "node (",
    "node '",
)
MAX_MESSAGE_CHARACTERS = 600


class RequestError(Exception):
    """The error with which a request is answered.

    Attributes:
        code: an error code of TensorFlow Serving.
        message: the message for the client.
        status: HTTP status; by default that of the code.

    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        # A message may quote half of a surrogate pair, which UTF-8 cannot encode.
        message = message.encode("utf-8", "replace").decode()
        self.message = (
            message
            if len(message) <= MAX_MESSAGE_CHARACTERS
            else message[: MAX_MESSAGE_CHARACTERS - 4] + " ..."
        )
        self.status = status or STATUS.get(code, 500)


def invalid(message: str) -> RequestError:
    """Return the error of a request that cannot be read."""
    return RequestError("INVALID_ARGUMENT", message)


def translated(error: Exception) -> RequestError:
    """Convert an error of a model: its code and its first line, without generated names."""
    import tensorflow as tf

    if not isinstance(error, tf.errors.OpError):
        # The message may name files of the server; the log holds it.
        return RequestError("INTERNAL", f"the model failed: {type(error).__name__}")
    names = {value: name for name, value in vars(tf.errors).items() if name.isupper()}
    lines = (GENERATED_NAMES.sub("", line).strip() for line in str(error.message).splitlines())
    messages = (line for line in lines if line and not line.startswith(TRACE_PREFIXES))
    reason = next(
        (line for line in messages if "root error(s) found" not in line), "no reason given"
    )
    # A failed assertion of our graphs has a message of its own.
    reason = ASSERTED.sub(r"\1", reason)
    return RequestError(names.get(error.error_code, "INTERNAL"), reason)
