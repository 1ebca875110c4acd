"""What is learned: one frozen dataclass an application."""

from apps.app import App, FieldError
from apps.mnist import Mnist

__all__ = ["ALL", "App", "FieldError", "Mnist", "named"]

ALL: tuple[type[App], ...] = (Mnist,)


def named(name: str) -> type[App]:
    """The app of this name. Raises FieldError where there is none."""
    for app in ALL:
        if app.name() == name:
            return app
    raise FieldError(
        f"Received the app {name!r}; expected one of {', '.join(app.name() for app in ALL)}."
    )
