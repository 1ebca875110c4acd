"""TensorFlow without its public API: a process that only runs a saved graph needs a tenth of it."""

import importlib.util
import os
import sys
import types
from typing import Any

PACKAGE = "tensorflow"


class _Deferred(types.ModuleType):
    """The package TensorFlow; the first use of a public name runs its `__init__`.

    Until then only its modules can be imported, such as `tensorflow.python.client.session`.
    """

    def __getattr__(self, name: str) -> Any:
        # The import system looks such names up; they need no API.
        if name.startswith("__"):
            raise AttributeError(name)
        from training.startup import import_without_keras

        self.__class__ = types.ModuleType  # type: ignore[assignment]
        with import_without_keras():
            self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        return getattr(self, name)


def defer_tensorflow() -> None:
    """Put TensorFlow into `sys.modules`, and run its `__init__` only when a public name is used."""
    spec = importlib.util.find_spec(PACKAGE)
    if PACKAGE in sys.modules or spec is None:
        return
    package = importlib.util.module_from_spec(spec)
    package.__class__ = _Deferred
    sys.modules[PACKAGE] = package
    os.environ["TF2_BEHAVIOR"] = "1"
    # The package does so first, since modules ask for it while they are imported.
    from tensorflow.python import tf2

    tf2.enable()
