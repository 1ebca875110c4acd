"""Who met what: rows without names, pairs told twice, ratings out of scale, strangers."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_checks.dataset import Subject
from data_checks.finding import MOST_SHOWN, Finding, Shown, counted, graded
from data_checks.ids.timestamps import times
from data_checks.ids.users import raters
from data_checks.reading import left_out as rows_left_out
from data_checks.targets import far
from pipelines.ids import reading as ids

__all__ = ["few", "left_out", "names", "raters", "ratings", "strangers", "times"]

FEW_OF_USER, FEW_OF_ITEM = 5, 5  # ratings from which taste can be told
MOSTLY = 0.9  # of all ratings


def tables(subject: Subject) -> Iterator[tuple[str, Any, np.ndarray, ids.Columns]]:
    """Each table with its split, the rows that became pairs, and the names of its columns."""
    asked = subject.app.make_input_decoder(subject.splits)
    train = subject.look.tables.train
    names = ids.Columns(**{kind: ids.found(train, asked, kind) for kind in ids.KINDS})
    for split, table, kept in subject.reads():
        yield split, table, kept, names


def left_out(subject: Subject) -> Iterator[Finding]:
    """Rows without a user, an item or a rating; pairs that are there twice."""
    for split, table, kept, columns in tables(subject):
        users, items = (ids.names_of(table, name) for name in (columns.user, columns.item))
        unnamed = (
            np.array([not user.strip() for user in users]),
            np.array([not item.strip() for item in items]),
        )
        scores = np.ones(len(table))
        if columns.rating:
            scores = ids.rated(table, columns.rating)
        unrated = ~np.isfinite(scores)
        for check, which, said, advice in (
            ("missing users", unnamed[0], "have no user", "Fill them in."),
            ("missing items", unnamed[1] & ~unnamed[0], "have no item", "Fill them in."),
            (
                "ratings that are no numbers",
                unrated & ~unnamed[0] & ~unnamed[1],
                "have a rating that is missing or no number",
                "Fill in their ratings.",
            ),
        ):
            rows = np.flatnonzero(which).tolist()
            yield from rows_left_out(table, split, rows, check, said, advice)
        usable = ~(unnamed[0] | unnamed[1] | unrated)
        usable[kept] = False
        yield from _repeated(table, split, np.flatnonzero(usable), (users, items, scores, kept))


def _repeated(table: Any, split: str, rows: np.ndarray, held: tuple) -> Iterator[Finding]:
    """Rows left out for another of the same pair is kept."""
    users, items, scores, kept = held
    if not len(rows):
        return
    said = {(users[row], items[row]): scores[row] for row in kept}
    other = [row for row in rows if said.get((users[row], items[row])) != scores[row]]
    again = sorted(set(rows.tolist()) - set(other))
    yield from rows_left_out(
        table,
        split,
        again,
        "repeated pairs",
        "tell a pair of user and item again, with the same rating",
        "Nothing has to be done: the last of each is kept.",
    )
    yield from rows_left_out(
        table,
        split,
        other,
        "contradicting ratings",
        "rate an item that the same user rates otherwise elsewhere",
        "The last is kept; if it is not the one that counts, remove the others.",
    )


def names(subject: Subject) -> Iterator[Finding]:
    """Users, or items, whose names differ by case or spaces alone."""
    for kind in ("user", "item"):
        alike = defaultdict(set)
        for name in set(subject.column(kind).tolist()):
            plain = b"".join(name.lower().split())
            alike[plain.removesuffix(b".0")].add(name)
        same = [sorted(some) for some in alike.values() if len(some) > 1]
        if same:
            yield Finding(
                f"{kind}s written in several ways",
                "warning",
                f"{counted(len(same), kind)} may be written in several ways, which count as "
                f"different {kind}s",
                "Write each in one way.",
                len(same),
                len(same) / len(alike),
                [
                    Shown("", " / ".join(repr(name.decode("utf-8", "replace")) for name in some))
                    for some in same[:MOST_SHOWN]
                ],
            )


def ratings(subject: Subject) -> Iterator[Finding]:
    """Ratings out of the scale, all the same, or nearly."""
    scores = subject.targets
    if not _rated(subject):
        return
    values, counts = np.unique(scores, return_counts=True)
    if len(values) == 1:
        yield Finding(
            "all ratings equal",
            "warning",
            f"every rating is {values[0]:g}: only who met what can be learnt",
            "Check --rating; leave the column away if there is none.",
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
            "A slip, or a word for unknown (0, -1, 99): mend or leave out.",
            len(out),
            len(out) / len(scores),
            subject.shown(out),
            out[subject.trains[out]],
        )
    most = counts.argmax()
    if counts[most] >= MOSTLY * len(scores):
        yield Finding(
            "one rating",
            "warning",
            f"{counts[most] / len(scores):.0%} of the ratings are {values[most]:g}",
            "There is little taste in them; a model of who met what (--model retrieval) may be "
            "worth more.",
            int(counts[most]),
            counts[most] / len(scores),
        )


def _rated(subject: Subject) -> bool:
    *_, columns = next(tables(subject))
    return bool(columns.rating)


def _out_of_scale(scores: np.ndarray, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Rare values apart from the others: far out, or off the steps and range of the scale."""
    out = far(scores)
    common = values[counts >= max(2, 0.002 * len(scores))]
    if 2 <= len(common) <= 20 and counts[np.isin(values, common)].sum() >= 0.97 * len(scores):
        step = np.diff(common).min()
        out |= (scores < common[0] - step / 2) | (scores > common[-1] + step / 2)
    return np.flatnonzero(out)


def few(subject: Subject) -> Iterator[Finding]:
    """Users and items with few ratings in training."""
    train = subject.splits.train
    for kind, least in (("user", FEW_OF_USER), ("item", FEW_OF_ITEM)):
        column = train.features[kind][train.rows]
        named, counts = np.unique(column.astype("S"), return_counts=True)
        rare = np.flatnonzero(counts < least)
        if len(rare):
            share = len(rare) / len(named)
            yield Finding(
                f"{kind}s with few ratings",
                graded(share, warning=0.5),
                f"{counted(len(rare), kind)} of {len(named):,} have fewer than {least} ratings in "
                "train",
                "They are answered by what is usual; ask for more of them before you rely on it.",
                len(rare),
                share,
                [
                    Shown(
                        "train", named[k].decode("utf-8", "replace"), counted(counts[k], "rating")
                    )
                    for k in rare[np.argsort(counts[rare], kind="stable")][:MOST_SHOWN]
                ],
            )


def strangers(subject: Subject) -> Iterator[Finding]:
    """Users and items of test that training does not know; pairs that both have."""
    test, train = subject.numbers("test"), subject.numbers("train")
    for kind in ("user", "item"):
        column = subject.column(kind)
        known = set(column[train].tolist())
        cold = np.array([k for k in test if column[k] not in known], "int64")
        if len(cold):
            share = len(cold) / len(test)
            yield Finding(
                f"{kind}s unseen in train",
                graded(share, grave=0.95, warning=0.02),
                f"{share:.1%} of the test pairs are of {kind}s that training never met: "
                f"{len(set(column[cold].tolist())):,} of them",
                "They are answered by what is usual, and say nothing of taste; --split random "
                "judges known ones.",
                len(cold),
                share,
                subject.shown(cold),
            )
