"""What can be wrong with a request, in the words and the codes of TensorFlow Serving."""

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
# Names of nodes and of functions that TensorFlow made: of no use to who asked.
INSIDE = re.compile(r"\{\{[^{}]*\}\}|\[\[[^\[\]]*\]\]|\[Op:\w+\]|^\s*\(\d+\)\s+[A-Z_]+:")
ASSERTED = re.compile(r"^assertion failed: \[(.*)\]$")
# Lines around what is wrong: where in whose program the node was made.
AROUND = ("Graph execution error", "Detected at", "<stack traces", "File ", "node (", "node '")
LONGEST = 600  # characters of a message


class RequestError(Exception):
    """A request that is answered by an error.

    Attributes:
        code: one of TensorFlow Serving's.
        message: for who asked.
        status: of HTTP; that of the code where none is given.

    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        # What is told may quote half of a surrogate pair, which no answer can hold.
        message = message.encode("utf-8", "replace").decode()
        self.message = message if len(message) <= LONGEST else message[: LONGEST - 4] + " ..."
        self.status = status or STATUS.get(code, 500)


def invalid(message: str) -> RequestError:
    """The error of a request that cannot be read."""
    return RequestError("INVALID_ARGUMENT", message)


def translated(error: Exception) -> RequestError:
    """An error that a model raised: its code and its first line, without what is inside."""
    import tensorflow as tf

    if not isinstance(error, tf.errors.OpError):
        # What it says may name files of the server; the log has it.
        return RequestError("INTERNAL", f"the model failed: {type(error).__name__}")
    names = {value: name for name, value in vars(tf.errors).items() if name.isupper()}
    lines = (INSIDE.sub("", line).strip() for line in str(error.message).splitlines())
    said = (line for line in lines if line and not line.startswith(AROUND))
    reason = next((line for line in said if "root error(s) found" not in line), "no reason given")
    # What a graph checks itself is said in its own words.
    reason = ASSERTED.sub(r"\1", reason)
    return RequestError(names.get(error.error_code, "INTERNAL"), reason)
