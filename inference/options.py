"""Options of `predict`."""

import dataclasses

from apps.app import App
from apps.fields import FieldError
from apps.options import CommonOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictOptions(CommonOptions):
    """How `predict` treats unknown users and items."""

    strict: bool = False
    """End with status 1 if a user or an item is unknown; for the recommender only."""

    def check_for(self, app: type[App]) -> None:
        """Raise FieldError for options that an app's runs cannot have."""
        if self.strict and app.modality != "ids":
            raise FieldError(
                f"Received --strict for {app.name()}, whose inputs are no ids; expected a "
                "recommender. Leave it out."
            )
