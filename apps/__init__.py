"""What is learned: one frozen dataclass an application."""

from apps.app import App
from apps.fields import FieldError
from apps.finetune.app import Finetune
from apps.mnist.app import Mnist
from apps.recommender.app import Recommender
from apps.regression.app import Regression
from apps.text.app import Text

__all__ = [
    "ALL",
    "LAYERS",
    "App",
    "FieldError",
    "Finetune",
    "Mnist",
    "Recommender",
    "Regression",
    "Text",
    "first_line",
    "named",
]

ALL: tuple[type[App], ...] = (Regression, Mnist, Finetune, Text, Recommender)
# Modules of layers: a saved model can be loaded after their import.
LAYERS = (
    "apps.networks",
    "apps.recommender.dot_product",
    "apps.text.layers",
    "apps.regression.layers",
    "apps.regression.shrinkage",
    "pipelines.rows.preprocessing",
    "pipelines.images.preprocessing",
    "pipelines.ids.reading",
    "pipelines.texts.preprocessing",
)


def named(name: str) -> type[App]:
    """The app of this name. Raises FieldError where there is none."""
    for app in ALL:
        if app.name() == name:
            return app
    raise FieldError(
        f"Received the app {name!r}; expected one of {', '.join(app.name() for app in ALL)}."
    )


def first_line(app: type[App]) -> str:
    """What an app does, in a line."""
    return (app.__doc__ or "").splitlines()[0]
