"""The applications: one frozen dataclass each."""

from apps.app import App
from apps.fields import FieldError
from apps.finetune.app import Finetune
from apps.mnist.app import Mnist
from apps.recommender.app import Recommender
from apps.regression.app import Regression
from apps.text.app import Text

__all__ = [
    "ALL",
    "App",
    "FieldError",
    "Finetune",
    "Mnist",
    "Recommender",
    "Regression",
    "Text",
    "get",
    "summary",
]

ALL: tuple[type[App], ...] = (Regression, Mnist, Finetune, Text, Recommender)


def get(name: str) -> type[App]:
    """Return the app of this name. Raises FieldError if there is none."""
    for app in ALL:
        if app.name() == name:
            return app
    raise FieldError(
        f"Received the app {name!r}; expected one of {', '.join(app.name() for app in ALL)}."
    )


def summary(app: type[App]) -> str:
    """Return the first line of an app's docstring."""
    return (app.__doc__ or "").splitlines()[0]
