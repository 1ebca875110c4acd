"""What is learned: one frozen dataclass an application."""

from apps.app import App, FieldError
from apps.finetune import Finetune
from apps.mnist import Mnist
from apps.recommender import Recommender
from apps.regression import Regression
from apps.text import Text

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
    "apps.products",
    "apps.recurrent",
    "apps.tabular",
    "apps.trust",
    "pipelines.columns",
    "pipelines.images",
    "pipelines.ids",
    "pipelines.words",
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
