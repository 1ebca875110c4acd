"""Options of `predict`."""

import dataclasses

from apps.options import CommonOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictOptions(CommonOptions):
    """How `predict` treats unknown users and items."""

    strict: bool = False
    """End with status 1 if a user or an item is unknown; for the recommender only."""
