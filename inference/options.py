"""Options of `predict` and `explain`."""

import csv
import dataclasses
import difflib
import io
import numbers
import typing
from typing import Any

from apps.app import App
from apps.fields import FieldError, bounded, flag_of
from apps.options import CommonOptions

LIST_LENGTH = 10  # by default
MAX_LIST_LENGTH = 1000
MAX_LISTED_COLUMNS = 30  # in a message
ITEM_LISTS = ("liked", "only", "exclude", "only_with", "exclude_with")
if typing.TYPE_CHECKING:
    Items = Any  # lists are accepted too, and become comma-separated texts
else:
    Items = str


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictOptions(CommonOptions):
    """Which lists the recommender makes, and whether it accepts unknown users and items."""

    strict: bool = False
    """End with status 1 if a user or an item is unknown; for the recommender only."""
    liked: Items = ""
    """Recommend to somebody who likes these items, in place of a user: comma-separated ids; those
    with a comma in double quotes."""
    only: Items = ""
    """Recommend only these items."""
    exclude: Items = ""
    """Recommend none of these items."""
    only_with: Items = ""
    """Recommend only items with these attributes, COLUMN=VALUE of the table of --items: of several
    of a column any, but one of each column."""
    exclude_with: Items = ""
    """Recommend no items with one of these attributes."""
    diversity: float = bounded(0.0, 0.0)
    """Weight from 0 to 1 of the difference between the items of a list."""
    k: int = bounded(LIST_LENGTH, 1, MAX_LIST_LENGTH + 1)
    """Length of a list."""
    why: bool = False
    """Name the user's items, or the liked ones, that are most similar to each item of a list."""

    def __post_init__(self) -> None:
        for name in ITEM_LISTS:
            if not isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, _comma_separated(name, value))
        super().__post_init__()
        if self.diversity > 1:
            raise FieldError(f"Received --diversity {self.diversity}; expected at most 1.")

    def list_flags(self) -> list[str]:
        """Return the flags about lists whose values are not those by default."""
        own = (*ITEM_LISTS, "diversity", "k", "why")
        fields = [field for field in dataclasses.fields(self) if field.name in own]
        return [flag_of(one.name) for one in fields if getattr(self, one.name) != one.default]

    def check_for(self, app: type[App]) -> None:
        """Raise FieldError for options that an app's runs cannot have."""
        flags = ["--strict"] * self.strict + self.list_flags()
        if flags and app.modality != "ids":
            raise FieldError(
                f"Received {flags[0]} for {app.name()}, whose inputs are no ids; expected "
                "a recommender. Leave it out."
            )


def _comma_separated(name: str, items: Any) -> str:
    """Return a list of ids as a line of a CSV file. Raises FieldError for other values."""
    for method in ("to_list", "tolist"):
        items = getattr(items, method, lambda items=items: items)()
    is_list = isinstance(items, list | tuple)
    wrong = [one for one in items if not _is_id(one)] if is_list else [items]
    if wrong:
        raise FieldError(
            f"Received {name} with {wrong[0]!r}; expected a list of texts or whole numbers."
        )
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(items)
    return line.getvalue() if items else ""


def _is_id(value: Any) -> bool:
    return isinstance(value, str | numbers.Integral) and not isinstance(value, bool)


def parse_items(line: str) -> list[str]:
    """Return the ids in comma-separated text; an id with a comma is in double quotes."""
    rows = csv.reader([line], skipinitialspace=True)
    return [cell.strip() for row in rows for cell in row if cell.strip()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplainOptions(CommonOptions):
    """What a counterfactual row may change, and the answer that it shall have."""

    keep: Items = ""
    """Columns that a counterfactual row does not change, separated by commas; for rows only."""
    wanted: str = ""
    """The answer that a counterfactual row shall have: a class, or a bound such as '>=100'; by
    default any other class. For rows only."""

    def __post_init__(self) -> None:
        if not isinstance(self.keep, str):
            object.__setattr__(self, "keep", _comma_separated("keep", self.keep))
        super().__post_init__()

    def check_for(self, app: type[App], *, has_inputs: bool) -> None:
        """Raise FieldError for options without an effect."""
        for flag, value in (("--keep", self.keep), ("--wanted", self.wanted)):
            if not value:
                continue
            if app.modality != "row":
                raise FieldError(
                    f"Received {flag} for {app.name()}, whose inputs are no rows; expected an app "
                    "of rows. Leave it out."
                )
            if not has_inputs:
                raise FieldError(
                    f"Received {flag} without an input; expected rows to explain. Name a file of "
                    "rows, or leave it out."
                )

    def kept(self) -> list[str]:
        """Return the names of the columns to keep."""
        return parse_items(self.keep)


def kept_columns(options: ExplainOptions, titles: dict[str, str]) -> list[str]:
    """Return the columns to keep by their names in the model; `titles` are those of the table.

    Raises FieldError for an unknown column.
    """
    names = {title: name for name, title in titles.items()} | {name: name for name in titles}
    return [_known(name, names) for name in options.kept()]


def _known(name: str, names: dict[str, str]) -> str:
    if name not in names:
        matches = difflib.get_close_matches(name, names, 1)
        hint = f" Did you mean {matches[0]!r}?" if matches else ""
        raise FieldError(
            f"Received --keep {name!r}; expected a column of the model: "
            f"{', '.join([*names][:MAX_LISTED_COLUMNS])}.{hint}"
        )
    return names[name]
