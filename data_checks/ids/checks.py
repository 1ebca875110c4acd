"""Checks of interactions: rows without ids, repeated pairs, ratings out of scale, cold start."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_checks.dataset import Check, CheckedData
from data_checks.finding import MAX_OCCURRENCES, Finding, Occurrence, counted, severity_of
from data_checks.ids.timestamps import times
from data_checks.ids.users import suspicious_users
from data_checks.reading import skipped_rows
from data_checks.targets import is_outlier
from pipelines.ids import reading as ids

__all__ = [
    "cold_start",
    "dropped_rows",
    "names",
    "rare_ids",
    "ratings",
    "suspicious_users",
    "times",
]

MIN_RATINGS_OF_USER, MIN_RATINGS_OF_ITEM = 5, 5  # in training
MAX_SHARE_OF_ONE_RATING = 0.9


def tables(data: CheckedData) -> Iterator[tuple[str, Any, np.ndarray, ids.Columns]]:
    """Yield each split and its table, the rows used as pairs, and the names of the columns."""
    columns = data.app.make_input_decoder(data.splits)
    train = data.inspection.tables.train
    names = ids.Columns(**{kind: ids.find_column(train, columns, kind) for kind in ids.KINDS})
    for split, table, used in data.sources():
        yield split, table, used, names


def dropped_rows(data: CheckedData) -> Iterator[Finding]:
    """Rows without a user, an item or a rating; repeated pairs."""
    for split, table, used, columns in tables(data):
        users, items = (ids.read_ids(table, name) for name in (columns.user, columns.item))
        unnamed = (
            np.array([not user.strip() for user in users]),
            np.array([not item.strip() for item in items]),
        )
        scores = np.ones(len(table))
        if columns.rating:
            scores = ids.parse_ratings(table, columns.rating)
        unrated = ~np.isfinite(scores)
        for check, mask, problem, advice in (
            ("missing users", unnamed[0], "without a user", "Fill them in."),
            ("missing items", unnamed[1] & ~unnamed[0], "without an item", "Fill them in."),
            (
                "unreadable ratings",
                unrated & ~unnamed[0] & ~unnamed[1],
                "with a missing or unreadable rating",
                "Fill in their ratings.",
            ),
        ):
            rows = np.flatnonzero(mask).tolist()
            yield from skipped_rows(table, split, rows, check, problem, advice)
        usable = ~(unnamed[0] | unnamed[1] | unrated)
        usable[used] = False
        yield from _repeated(table, split, np.flatnonzero(usable), (users, items, scores, used))


def _repeated(table: Any, split: str, rows: np.ndarray, pairs: tuple) -> Iterator[Finding]:
    """Yield findings about rows that are dropped because a later row has the same pair."""
    users, items, scores, used = pairs
    if not len(rows):
        return
    last_ratings = {(users[row], items[row]): scores[row] for row in used}
    contradicting = [
        row for row in rows if last_ratings.get((users[row], items[row])) != scores[row]
    ]
    repeated = sorted(set(rows.tolist()) - set(contradicting))
    yield from skipped_rows(
        table,
        split,
        repeated,
        "repeated pairs",
        "with the user, item and rating of another row",
        "Nothing has to be done: the last row of each pair is kept, or --repeats combines them.",
    )
    yield from skipped_rows(
        table,
        split,
        contradicting,
        "contradicting ratings",
        "with the user and item of another row, and another rating",
        "The last is kept, or --repeats combines them; if another one is right, remove the last.",
    )


def names(data: CheckedData) -> Iterator[Finding]:
    """Users, or items, whose names differ by case or spaces alone."""
    for kind in ("user", "item"):
        alike = defaultdict(set)
        for name in set(data.column(kind).tolist()):
            plain = b"".join(name.lower().split())
            alike[plain.removesuffix(b".0")].add(name)
        same = [sorted(spellings) for spellings in alike.values() if len(spellings) > 1]
        if same:
            yield Finding(
                f"{kind}s written in several ways",
                "warning",
                f"{counted(len(same), kind)} may be written in several ways, which count as "
                f"different {kind}s",
                "Use one spelling for each.",
                len(same),
                len(same) / len(alike),
                [
                    Occurrence(
                        "", " / ".join(repr(name.decode("utf-8", "replace")) for name in spellings)
                    )
                    for spellings in same[:MAX_OCCURRENCES]
                ],
            )


def ratings(data: CheckedData) -> Iterator[Finding]:
    """Ratings out of scale; ratings that are all or nearly all equal."""
    scores = data.targets
    if not _rated(data):
        return
    values, counts = np.unique(scores, return_counts=True)
    if len(values) == 1:
        yield Finding(
            "all ratings equal",
            "warning",
            f"every rating is {values[0]:g}: only the interactions carry information",
            "Check --rating; leave the flag out if there are no ratings.",
            len(scores),
            1.0,
        )
        return
    out = _out_of_scale(scores, values, counts)
    if len(out):
        yield Finding(
            "ratings out of scale",
            "warning",
            f"{counted(len(out), 'rating is', 'ratings are')} out of the scale of the others, "
            f"such as {scores[out[0]]:g}",
            "Typing errors, or a missing-value code (0, -1, 99): correct or exclude them.",
            len(out),
            len(out) / len(scores),
            data.occurrences(out),
            out[data.used_in_training[out]],
        )
    mode = counts.argmax()
    if counts[mode] >= MAX_SHARE_OF_ONE_RATING * len(scores):
        yield Finding(
            "one rating",
            "warning",
            f"{counts[mode] / len(scores):.0%} of the ratings are {values[mode]:g}",
            "They carry little information; a model of the interactions (--model retrieval) may be "
            "better.",
            int(counts[mode]),
            counts[mode] / len(scores),
        )


def _rated(data: CheckedData) -> bool:
    *_, columns = next(tables(data))
    return bool(columns.rating)


def _out_of_scale(scores: np.ndarray, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the pairs whose rating is an outlier, or outside the range of the scale."""
    out = is_outlier(scores)
    common = values[counts >= max(2, 0.002 * len(scores))]
    if 2 <= len(common) <= 20 and counts[np.isin(values, common)].sum() >= 0.97 * len(scores):
        step = np.diff(common).min()
        out |= (scores < common[0] - step / 2) | (scores > common[-1] + step / 2)
    return np.flatnonzero(out)


def rare_ids(data: CheckedData) -> Iterator[Finding]:
    """Users and items with few ratings in training."""
    train = data.splits.train
    for kind, minimum in (("user", MIN_RATINGS_OF_USER), ("item", MIN_RATINGS_OF_ITEM)):
        column = train.features[kind][train.rows]
        distinct, counts = np.unique(column.astype("S"), return_counts=True)
        rare = np.flatnonzero(counts < minimum)
        if len(rare):
            share = len(rare) / len(distinct)
            yield Finding(
                f"{kind}s with few ratings",
                severity_of(share, warning=0.5),
                f"{counted(len(rare), kind)} of {len(distinct):,} have fewer than {minimum} "
                "ratings in train",
                "The model learns little about them; collect more ratings before you rely on it.",
                len(rare),
                share,
                [
                    Occurrence(
                        "train",
                        distinct[k].decode("utf-8", "replace"),
                        counted(counts[k], "rating"),
                    )
                    for k in rare[np.argsort(counts[rare], kind="stable")][:MAX_OCCURRENCES]
                ],
            )


def cold_start(data: CheckedData) -> Iterator[Finding]:
    """Cold-start users and items: in test, not in train."""
    test, train = data.numbers_of("test"), data.numbers_of("train")
    for kind in ("user", "item"):
        column = data.column(kind)
        in_train = set(column[train].tolist())
        cold = np.array([k for k in test if column[k] not in in_train], "int64")
        if len(cold):
            share = len(cold) / len(test)
            yield Finding(
                f"{kind}s unseen in train",
                severity_of(share, error=0.95, warning=0.02),
                f"{share:.1%} of the test pairs are of {kind}s without training pairs: "
                f"{len(set(column[cold].tolist())):,} of them",
                "The model falls back to averages for them; --split random tests known ones.",
                len(cold),
                share,
                data.occurrences(cold),
            )


CHECKS: tuple[Check, ...] = (
    dropped_rows,
    names,
    ratings,
    suspicious_users,
    rare_ids,
    cold_start,
    times,
)
