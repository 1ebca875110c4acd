"""Options of `export`."""

import dataclasses
from pathlib import Path
from typing import Literal

from apps.app import App
from apps.fields import FieldError
from apps.options import CommonOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(CommonOptions):
    """What `export` writes."""

    format: str = "savedmodel"
    """What to write, with commas between: savedmodel, which is always there; litert; onnx."""
    quantize: Literal["int8", "float16"] | None = None
    """Also write a smaller LiteRT file, and show a table of what that costs."""
    refresh_items: Path | None = None
    """A CSV file of the items to recommend from now on; the recommender is not trained again."""
    gate: Path | None = None
    """A file of conditions, as for `athanor gate`; a run that falls short is not exported."""
    with_examples: bool = False
    """Publish some examples of the test set, and ids of users, to every client of the server; by
    default the server's examples are made from the schema."""

    def check_for(self, app: type[App]) -> None:
        """Raise FieldError for options that an app's runs cannot have."""
        if self.refresh_items and "ranking" not in app.tasks:
            raise FieldError(
                f"Received --refresh-items {self.refresh_items} for {app.name()}, which recommends "
                "no items; expected a recommender. Leave it out."
            )
