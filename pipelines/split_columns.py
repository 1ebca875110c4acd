"""The columns of a table by which the user splits it: `--group COL` or `--by-time COL`."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from pipelines.examples import DataError, Examples
from pipelines.group_splits import NO_GROUP, GroupScheme
from pipelines.rows.column_names import find_column
from pipelines.splits import SplitScheme
from pipelines.tables.cell_hashes import hash_cells
from pipelines.tables.format_inference import InferredFormat, infer_format
from pipelines.tables.identifiers import read_identifiers
from pipelines.tables.table import Table
from pipelines.tables.timelines import Timeline, parse_timeline
from pipelines.time_splits import TimeScheme

MAX_LISTED_LINES = 5
REMEDY = "Name another column, or leave --by-time out for a split by hash."


@dataclasses.dataclass(frozen=True)
class SplitColumns:
    """Column names; "" for none. At most one of them is given.

    Attributes:
        group: all rows with one cell of this column are in one split.
        by_time: the newest rows by this column are validation and test.

    """

    group: str = ""
    by_time: str = ""

    def __post_init__(self) -> None:
        if self.group and self.by_time:
            raise DataError(
                f"Received --group {self.group} and --by-time {self.by_time}; expected one of "
                "them, because the rows of a group may be both old and new. Leave one out; for "
                "both, pass newer rows of other groups as --test."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are given."""
        return tuple(filter(None, (self.group, self.by_time)))

    def renamed(self, names: Mapping[str, str]) -> "SplitColumns":
        """Return the new names of the columns."""
        return SplitColumns(*(names.get(name, name) for name in (self.group, self.by_time)))

    def found_in(self, table: Table, target: str) -> "SplitColumns":
        """Return the names as the table has them.

        Raises AddressError if there is no such column, DataError if it is the target.
        """
        found = SplitColumns(
            self.group and find_column(self.group, table, "--group"),
            self.by_time and find_column(self.by_time, table, "--by-time"),
        )
        for flag, name in (("--group", found.group), ("--by-time", found.by_time)):
            if name and name == target:
                raise DataError(
                    f"Received {flag} {name}, the target; expected another column. Name the "
                    "column of the groups or times."
                )
        return found


NO_SPLIT_COLUMNS = SplitColumns()


@dataclasses.dataclass(frozen=True)
class SplitReader:
    """Reads the group or the time of each example.

    Attributes:
        columns: the columns of the training table.
        train: the training table.
        time_format: how times are read.
        timeline: the times of the training table.

    """

    columns: SplitColumns
    train: Table
    time_format: InferredFormat | None = None
    timeline: Timeline | None = None

    @classmethod
    def of(
        cls, columns: SplitColumns, train: Table, inferred: InferredFormat | None = None
    ) -> "SplitReader":
        """Make the reader for a training table. Raises DataError if its times order no rows."""
        name = columns.by_time
        if not name:
            return cls(columns, train)
        if inferred is None or inferred.form.is_text:  # as a feature, at the user's request
            inferred = infer_format(train.columns[name])
        timeline = parse_timeline(train.columns[name], inferred)
        timeline.require(f"--by-time {name}", REMEDY)
        return cls(columns, train, inferred, timeline)

    @property
    def scheme(self) -> SplitScheme | None:
        """The scheme of the splits; None for the default."""
        if self.columns.group:
            return GroupScheme(self.columns.group)
        if self.timeline and self.time_format:
            are_dates = self.time_format.form.kind == "time"
            return TimeScheme(self.columns.by_time, are_dates, self.timeline.description)
        return None

    def read(self, examples: Examples, table: Table, rows: np.ndarray) -> Examples:
        """Add group or time to the examples, which are these rows of a table, if it has them.

        Raises DataError if cells of the training table are missing.
        """
        group, by_time = self.columns.group, self.columns.by_time
        if group in table.columns:
            hashes = _group_hashes(table, group)[rows]
            self._require_known(hashes != NO_GROUP, table, rows, f"--group {group}")
            return dataclasses.replace(examples, group_hashes=hashes)
        if by_time in table.columns:
            times = parse_timeline(table.columns[by_time], self.time_format).times[rows]
            self._require_known(~np.isnan(times), table, rows, f"--by-time {by_time}")
            return dataclasses.replace(examples, times=times)
        return examples

    def _require_known(self, known: np.ndarray, table: Table, rows: np.ndarray, flag: str) -> None:
        """Raise DataError if the group or time of a row of the training table is unknown."""
        unknown = rows[~known]
        if table is not self.train or not len(unknown):
            return
        lines = ", ".join(table.where(int(row)) for row in unknown[:MAX_LISTED_LINES])
        more = ", ..." * (len(unknown) > MAX_LISTED_LINES)
        is_one = len(unknown) == 1
        raise DataError(
            f"Received {flag}, a column in which {len(unknown):,} of {len(rows):,} cells "
            f"{'is' if is_one else 'are'} missing or cannot be read ({lines}{more}); expected a "
            "value in every row. Fill in the cells, or leave these rows out of the file."
        )


def _group_hashes(table: Table, name: str) -> np.ndarray:
    """Hash the group of each row to a uint64; NO_GROUP for a missing cell."""
    values, codes = read_identifiers(table, name)
    hashes = hash_cells(values)
    hashes[values == b""] = NO_GROUP
    return hashes[codes]
