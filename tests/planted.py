"""Clean data, and errors to plant in them, each with the finding that check-data must report."""

import csv
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter


class Fault(NamedTuple):
    """A change that plants an error in clean data, and the finding that it must cause.

    `plant` changes the rows in place; `where` is a part of the location that the finding names.
    """

    plant: object
    check: str
    severity: str
    where: str = ""
    split: str | None = None
    fields: dict | None = None


class Set(NamedTuple):
    """Rows of two files; the first row holds the column names."""

    train: list
    test: list


def write(tables, directory):
    """Write both files; return their addresses as fields of an app."""
    for name, rows in tables._asdict().items():
        with (directory / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    return {"data": f"csv:{directory}/train.csv", "test": f"csv:{directory}/test.csv"}


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


# ---------------------------------------------------------------- texts

WORDS = [a + b + c for a in "bdgklm" for b in ("ana", "elo", "iru", "osa", "uni") for c in "nrst"]


def texts():
    """Return texts of random words; the classes use some words with different probabilities."""
    random = np.random.default_rng(3)

    def rows(count):
        made = [["text", "label"]]
        for number in range(count):
            label = number % 2
            words = random.choice(WORDS[20 * label : 100 + 20 * label], random.integers(12, 20))
            made.append([" ".join(words), ("bad", "good")[label]])
        return made

    return Set(rows(300), rows(80))


def row_set(change):
    """Return a function that plants an error by `change(train, test)`."""
    return lambda tables: change(tables.train, tables.test)


def put(split, number, column, value):
    def plant(tables):
        getattr(tables, split)[number][column] = value

    return plant


def copied(source, number, target, place, **changed):
    """Copy row `number` of one split to a place in another, with some cells changed."""

    def plant(tables):
        row = list(getattr(tables, source)[number])
        for column, change in changed.items():
            k = tables.train[0].index(column)
            row[k] = change(row[k])
        getattr(tables, target)[place] = row

    return plant


def each(change, *, splits=("train", "test")):
    """Call `change(number, row)` for every row."""

    def plant(tables):
        for split in splits:
            for number, row in enumerate(getattr(tables, split)[1:], 1):
                change(number, row)

    return plant


def _ends_with_class(_, row):
    row[0] += f" {row[1]}"


def _one_word_changed(text):
    return " ".join([*text.split()[:-1], "changed"])


def _long(text):
    return " ".join([text] * 30)


def other(label):
    return {"good": "bad", "bad": "good"}[label]


def _rare(tables):
    for row in tables.train[1:4]:
        row[1] = "mixed"
    tables.test[1][1] = tables.test[2][1] = "mixed"


def _uneven(tables):
    for number, row in enumerate(tables.train[1:]):
        row[1] = "bad" if number % 20 == 0 else "good"


def _shifted(tables):
    for number, row in enumerate(tables.test[1:]):
        row[1] = "bad" if number % 10 == 0 else "good"


def _unseen(tables):
    for row in tables.test[1:9]:
        row[1] = "neutral"


def _untested(tables):
    for row in tables.train[1:40]:
        row[1] = "neutral"


def _spelt(tables):
    for row in tables.train[1:40:2]:
        row[1] = row[1].title()


def _misspelt(tables):
    for row in tables.train[1:]:
        row[1] = {"good": "positive", "bad": "negative"}[row[1]]
    for row in tables.test[1:]:
        row[1] = {"good": "positive", "bad": "negative"}[row[1]]
    tables.train[2][1] = tables.test[2][1] = "positve"


def _begins(_, row):
    row[0] = "this text was written on a train " + row[0]


def _by_length(_, row):
    row[0] += " and more" * 10 * (row[1] == "good")


TEXT = {
    "broken line": Fault(lambda h: h.train[7].append("more"), "broken lines", "warning", "line 8"),
    "missing class": Fault(put("train", 9, 1, ""), "missing classes", "warning", "line 10"),
    "empty text": Fault(put("train", 11, 0, ""), "empty texts", "warning", "line 12"),
    "marks alone": Fault(put("test", 11, 0, "... !?"), "empty texts", "warning", "test.csv line"),
    "copy in train": Fault(
        copied("train", 5, "train", 50), "copies within a split", "note", "line 6", "train"
    ),
    "copy in test": Fault(
        copied("train", 5, "test", 50), "copies across splits", "warning", "line 6", "train"
    ),
    "copy of another class": Fault(
        copied("train", 5, "train", 50, label=other), "contradicting copies", "warning", "line 51"
    ),
    "copy of another class in test": Fault(
        copied("train", 5, "test", 50, label=other), "contradicting copies", "warning", "test.csv"
    ),
    "other case in test": Fault(
        copied("train", 5, "test", 50, text=str.upper),
        "near copies across splits",
        "warning",
        "test.csv line 51",
    ),
    "one word changed in test": Fault(
        copied("train", 5, "test", 50, text=_one_word_changed),
        "near copies across splits",
        "warning",
        "test.csv line 51",
    ),
    "near copy of another class": Fault(
        copied("train", 5, "train", 50, text=lambda t: f"{t}!", label=other),
        "contradicting near copies",
        "warning",
        "line 51",
    ),
    "longer than the length": Fault(
        put("train", 8, 0, _long("many words that nobody wrote")),
        "truncated texts",
        "note",
        "line 9",
        "train",
        {"length": 100},
    ),
    "half longer than the length": Fault(
        lambda _: None, "truncated texts", "warning", "", None, {"length": 14}
    ),
    "missing quote": Fault(
        put("train", 8, 0, " ".join(WORDS * 3)), "unusually long texts", "warning", "line 9"
    ),
    "uneven classes": Fault(_uneven, "class imbalance", "warning", "bad"),
    "rare class": Fault(_rare, "rare classes", "warning", "mixed"),
    "class of test alone": Fault(_unseen, "classes unseen in train", "error", "neutral"),
    "class of train alone": Fault(_untested, "classes missing in test", "warning", "neutral"),
    "class in two ways": Fault(_spelt, "classes with several spellings", "error", "Bad"),
    "misspelt class": Fault(_misspelt, "similar class names", "warning", "positve"),
    "other classes in test": Fault(_shifted, "classes shifted", "warning"),
    "class in the text": Fault(each(_ends_with_class), "class leakage", "error"),
    "class as a word": Fault(
        each(lambda _, row: row.__setitem__(0, f"{row[0][:9]} is{row[1]} {row[0][9:]}")),
        "words that leak a class",
        "error",
        "good",
    ),
    "class in the length": Fault(each(_by_length), "class leakage", "error"),
    "wrong encoding": Fault(
        put("train", 8, 0, "un caf\u00c3\u00a9 tr\u00c3\u00a8s bon"),
        "broken encoding",
        "warning",
        "line 9",
    ),
    "control character": Fault(
        put("train", 8, 0, "some\x07 words of text"), "control characters", "warning", "line 9"
    ),
    "markup": Fault(put("train", 8, 0, "<b>words</b> &amp; text"), "markup", "note", "line 9"),
    "address of a person": Fault(
        put("train", 8, 0, "write to some.body@example.org today"),
        "e-mail addresses",
        "note",
        "line 9",
    ),
    "other script": Fault(
        put(
            "train",
            8,
            0,
            "\u043e\u0447\u0435\u043d\u044c \u0445\u043e\u0440"
            "\u043e\u0448\u0438\u0439 \u0444\u0438\u043b\u044c\u043c",
        ),
        "other scripts",
        "note",
        "line 9",
    ),
    "all begin alike": Fault(each(_begins), "texts begin alike", "note"),
    "one word alone": Fault(put("train", 8, 0, "word"), "texts of one word", "note", "line 9"),
}


# ---------------------------------------------------------------- rows

COLUMNS = ["size", "age", "dist", "town", "heat", "price"]
TOWNS = ("Aarau", "Basel", "Chur", "Davos")


def rows(count=(300, 100)):
    """Return houses whose price depends on size, age, distance, town and heating, with noise."""
    random = np.random.default_rng(5)

    def made(number):
        size, age, dist = (
            random.gamma(9, 12, number),
            random.uniform(0, 80, number),
            random.gamma(2, 3, number),
        )
        town, heat = random.integers(0, 4, number), random.integers(0, 3, number)
        price = 3 * size - age - 4 * dist + 40 * town + 15 * heat + random.normal(0, 40, number)
        cells = zip(size, age, dist, town, heat, price, strict=True)
        return [COLUMNS] + [
            [f"{s:.2f}", f"{a:.1f}", f"{d:.3f}", TOWNS[t], ("gas", "oil", "wood")[h], f"{p:.1f}"]
            for s, a, d, t, h, p in cells
        ]

    return Set(made(count[0]), made(count[1]))


def with_column(name, cell, *, before=5):
    """Insert a column whose cells are `cell(number, row)`."""

    def plant(tables):
        for part in tables:
            part[0] = [*part[0][:before], name, *part[0][before:]]
            for number, row in enumerate(part[1:], 1):
                row.insert(before, str(cell(number, row)))

    return plant


def classes_of(tables):
    """Turn the price into two classes."""
    for part in tables:
        for row in part[1:]:
            row[5] = "dear" if float(row[5]) > 300 else "cheap"


def then(*plants):
    def plant(tables):
        for one in plants:
            one(tables)

    return plant


def _jitter(row):
    return f"{float(row) * (1 + 1e-6):.7f}"


def _other_town(tables):
    for row in tables.test[1:21]:
        row[3] = "Genf"


def _spelt_town(tables):
    for row in tables.train[1:40]:
        row[3] = row[3].upper()


def _thousand(tables):
    for row in tables.test[1:]:
        row[0] = f"{float(row[0]) * 1000:.1f}"


def _unknown(tables):
    for row in tables.train[1:12]:
        row[1] = "-999"


def _beyond(tables):
    for row in tables.test[1:]:
        row[5] = f"{float(row[5]) + 2000:.1f}"


def _gaps(tables):
    for part in tables:
        for number, row in enumerate(part[1:]):
            row[2] = row[2] if number % 3 == 0 else ""


def _cut_off(tables):
    for part in tables:
        for row in part[1:]:
            row[5] = f"{min(float(row[5]), 380):.1f}"


def _heaped(tables):
    for part in tables:
        for number, row in enumerate(part[1:]):
            row[5] = row[5] if number % 5 == 0 else "0"


def _class_of_test(tables):
    classes_of(tables)
    for row in tables.test[1:9]:
        row[5] = "priceless"


def _uneven_rows(tables):
    classes_of(tables)
    for number, row in enumerate(tables.train[1:]):
        row[5] = "dear" if number % 20 == 0 else "cheap"


ROW = {
    "broken line": Fault(lambda h: h.train[7].pop(), "broken lines", "warning", "line 8"),
    "missing target": Fault(put("train", 9, 5, ""), "missing targets", "warning", "line 10"),
    "no number": Fault(put("train", 9, 0, "a"), "cells that are no numbers", "warning", "line 10"),
    "no number in test": Fault(
        put("test", 9, 0, "1O2"), "cells that are no numbers", "warning", "test.csv line 10", "test"
    ),
    "infinite": Fault(
        put("train", 9, 0, "1e999"), "cells that are no numbers", "warning", "line 10"
    ),
    "constant column": Fault(with_column("e", lambda *_: 7), "constant columns", "warning", "e"),
    "empty column": Fault(with_column("era", lambda *_: "NA"), "empty columns", "warning", "era"),
    "names of rows": Fault(
        with_column("name", lambda n, r: f"house {n} {r[0]}"),
        "columns that identify rows",
        "warning",
        "name",
    ),
    "numbers of rows": Fault(
        with_column("key", lambda n, _: n), "columns that identify rows", "warning", "key"
    ),
    "seconds since 1970": Fault(
        with_column("sold", lambda n, _: 1_500_000_000 + 86_399 * n),
        "dates as numbers",
        "note",
        "sold",
    ),
    "mostly missing": Fault(_gaps, "mostly missing columns", "warning", "dist"),
    "column twice": Fault(
        with_column("feet", lambda _, r: float(r[0]) * 10.764),
        "duplicate columns",
        "note",
        "feet",
    ),
    "copy in train": Fault(
        copied("train", 5, "train", 50), "copies within a split", "note", "line 6"
    ),
    "copy in test": Fault(
        copied("train", 5, "test", 50), "copies across splits", "warning", "line 6"
    ),
    "copy with another price": Fault(
        copied("train", 5, "train", 50, price=lambda p: f"{float(p) + 500}"),
        "contradicting copies",
        "warning",
        "line 51",
    ),
    "rounded copy in test": Fault(
        copied("train", 5, "test", 50, size=_jitter, dist=_jitter),
        "near copies across splits",
        "warning",
        "test.csv line 51",
    ),
    "copy but for one column in test": Fault(
        copied("train", 5, "test", 50, age=lambda _: "33.3"),
        "rows that differ in one column",
        "warning",
        "test.csv line 51",
    ),
    "target in another unit": Fault(
        with_column("euros", lambda _, r: f"{0.93 * float(r[5]) + 3:.3f}"),
        "target leakage",
        "error",
        "euros",
    ),
    "target by missing cells": Fault(
        then(classes_of, with_column("sold", lambda n, r: n % 17 if r[5] == "dear" else "")),
        "target leakage",
        "error",
        "sold",
    ),
    "class in a category": Fault(
        then(classes_of, with_column("tax", lambda _, r: "AB"[r[5] == "dear"])),
        "target leakage",
        "error",
        "tax",
    ),
    "new category in test": Fault(_other_town, "categories unseen in train", "warning", "test.csv"),
    "category in two ways": Fault(
        _spelt_town, "categories written in several ways", "warning", "town"
    ),
    "number far out": Fault(put("train", 9, 0, "9500000"), "outliers", "warning", "line 10"),
    "word for unknown": Fault(_unknown, "missing-value codes", "warning", "line 2"),
    "other unit in test": Fault(_thousand, "columns shifted", "error", "size"),
    "target outliers": Fault(
        put("train", 9, 5, "99000000"), "target outliers", "warning", "line 10"
    ),
    "target beyond train": Fault(_beyond, "test targets beyond train", "error"),
    "censored target": Fault(_cut_off, "censored target", "note"),
    "one target value": Fault(_heaped, "one target value", "warning"),
    "class of test alone": Fault(_class_of_test, "classes unseen in train", "error", "priceless"),
    "uneven classes": Fault(_uneven_rows, "class imbalance", "warning", "dear"),
    "constant target": Fault(
        lambda h: [row.__setitem__(5, "7") for part in h for row in part[1:]],
        "refused by training",
        "error",
    ),
}


# ---------------------------------------------------------------- ids

START = 1_500_000_000


def ids():
    """Return ratings of 30 users and 40 items in order of time; the test ones are the newest."""
    random = np.random.default_rng(7)
    pairs = random.permutation(30 * 40)[:700]
    taste = random.normal(size=(30, 40))
    made = [
        [f"u{pair // 40}", f"i{pair % 40}", int(np.clip(round(3 + taste.flat[pair]), 1, 5)),
         START + 3600 * number]
        for number, pair in enumerate(pairs)
    ]  # fmt: skip
    names = ["user_id", "item_id", "rating", "timestamp"]
    return Set([names, *made[:560]], [names, *made[560:]])


def _again(rating):
    def plant(tables):
        user, item, old, when = tables.train[5]
        tables.train.append([user, item, old if rating is None else rating, when - 5])

    return plant


def _new_user(count, rating=lambda k: 1 + k % 5, name="new", split="train"):
    def plant(tables):
        last = getattr(tables, split)[-1][3]
        getattr(tables, split).extend(
            [name, f"i{k % 40}", rating(k), last + k] for k in range(count)
        )

    return plant


def _twin(tables):
    tables.train.extend(["twin", *row[1:]] for row in list(tables.train) if row[0] == "u3")


def _busy(tables):
    for k in range(400):
        tables.train.append(["crawler", f"i{k}", 1 + k % 5, START])
        if k >= 40:
            tables.train.append([f"u{k % 30}", f"i{k}", 1 + k % 5, START])


def _all(column, value, *, splits=("train", "test")):
    return each(lambda n, row: row.__setitem__(column, value(n, row)), splits=splits)


IDS = {
    "broken line": Fault(lambda h: h.train[7].append("more"), "broken lines", "warning", "line 8"),
    "missing user": Fault(put("train", 9, 0, ""), "missing users", "warning", "line 10"),
    "missing item": Fault(put("train", 9, 1, ""), "missing items", "warning", "line 10"),
    "rating is no number": Fault(
        put("train", 9, 2, "good"), "unreadable ratings", "warning", "line 10"
    ),
    "missing rating in test": Fault(
        put("test", 9, 2, ""), "unreadable ratings", "warning", "test.csv line 10", "test"
    ),
    "pair twice": Fault(_again(None), "repeated pairs", "warning", "line 562"),
    "pair rated otherwise": Fault(
        lambda h: _again(1 if h.train[5][2] != 1 else 5)(h),
        "contradicting ratings",
        "warning",
        "line 562",
    ),
    "pair in train and test": Fault(
        copied("train", 5, "test", 50), "copies across splits", "warning", "line 6"
    ),
    "rating out of scale": Fault(
        put("train", 9, 2, 50), "ratings out of scale", "warning", "line 10"
    ),
    "zero for unknown": Fault(put("train", 9, 2, 0), "ratings out of scale", "warning", "line 10"),
    "user who rates all alike": Fault(
        _new_user(30, lambda _: 3), "constant raters", "warning", "new"
    ),
    "copied user": Fault(_twin, "copied users", "warning", "twin"),
    "user who met everything": Fault(_busy, "users with nearly every item", "warning", "crawler"),
    "user of few ratings": Fault(_new_user(2), "users with few ratings", "note", "new"),
    "item of few ratings": Fault(
        put("train", 9, 1, "odd"), "items with few ratings", "note", "odd"
    ),
    "user of test alone": Fault(
        _new_user(30, split="test"), "users unseen in train", "warning", "test.csv line"
    ),
    "item of test alone": Fault(
        put("test", 9, 1, "odd"), "items unseen in train", "note", "test.csv line 10"
    ),
    "user in two ways": Fault(
        put("train", 9, 0, "U3 "), "users written in several ways", "warning", "u3"
    ),
    "item in two ways": Fault(
        put("train", 9, 1, "I3"), "items written in several ways", "warning", "i3"
    ),
    "all ratings equal": Fault(_all(2, lambda *_: 4), "all ratings equal", "warning"),
    "nearly one rating": Fault(_all(2, lambda n, _: 5 if n % 20 else 1), "one rating", "warning"),
    "future in train": Fault(
        _all(3, lambda _, r: r[3] + 10**7, splits=("train",)),
        "the future in train",
        "error",
        "line",
    ),
    "some future in train": Fault(
        lambda h: [row.__setitem__(3, row[3] + 10**7) for row in h.train[1:60]],
        "the future in train",
        "warning",
        "train.csv line 60",
    ),
    "time to come": Fault(
        put("train", 9, 3, 4_000_000_000), "times in the future", "warning", "line 10"
    ),
    "negative time": Fault(put("train", 9, 3, -1), "times before 1970", "warning", "line 10"),
    "milliseconds": Fault(
        put("train", 9, 3, 1_500_000_000_000), "times in several units", "error", "line 10"
    ),
    "missing time": Fault(put("train", 9, 3, ""), "missing times", "warning", "line 10"),
    "one timestamp": Fault(_all(3, lambda *_: START), "one timestamp", "error"),
}


# ---------------------------------------------------------------- pictures

SIDE = 24


def photo(seed, side=SIDE):
    """Return a smooth colour image that depends on a seed."""
    small = np.random.default_rng(seed).integers(40, 216, (5, 5, 3)).astype("uint8")
    return Image.fromarray(small).resize((side, side), Image.BICUBIC)


def images(root, *, count=24, test_count=10):
    """Write two classes of photographs in train and test."""
    for split, number, seed in (("train", count, 0), ("test", test_count, 500)):
        for place, name in enumerate(("cat", "dog")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for k in range(number):
                photo(seed + 100 * place + k).save(folder / f"{k:03}.png")
    return {"data": f"folder:{root}", "size": SIDE, "weights": "none"}


def _truncated(root):
    path = root / "train" / "cat" / "000.png"
    path.write_bytes(path.read_bytes()[:60])


def _text_as_image(root):
    (root / "train" / "dog" / "text.png").write_text("hello")


def _empty_file(root):
    (root / "test" / "dog" / "empty.jpg").write_bytes(b"")


def _saved(place, image, **options):
    def plant(root):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / place, **options)

    return plant


def _bright(image):
    return image.point(lambda level: min(255, round(level * 1.15)))


IMAGE = {
    "truncated file": Fault(_truncated, "unreadable files", "warning", "train/cat/000.png"),
    "text as image": Fault(_text_as_image, "unreadable files", "warning", "train/dog/text.png"),
    "empty file": Fault(_empty_file, "unreadable files", "warning", "test/dog/empty.jpg", "test"),
    "other format": Fault(
        _saved("train/cat/other.jp2", photo(900)),
        "pictures of other formats",
        "warning",
        "train/cat/other.jp2",
    ),
    "image in no class": Fault(
        _saved("train/loose.png", photo(901)),
        "files outside of classes",
        "warning",
        "train/loose.png",
    ),
    "text file in a class": Fault(
        lambda r: (r / "train/cat/read.txt").write_text("hi"),
        "files outside of classes",
        "warning",
        "train/cat/read.txt",
    ),
    "empty class": Fault(
        lambda r: (r / "train/bird").mkdir(), "empty class folders", "warning", "train/bird"
    ),
    "class in two ways": Fault(
        lambda r: [_saved(f"train/Dog/{k}.png", photo(910 + k))(r) for k in range(10)],
        "classes with several spellings",
        "error",
        "Dog",
    ),
    "rare class": Fault(_saved("train/cow/1.png", photo(920)), "rare classes", "warning", "cow"),
    "class of train alone": Fault(None, "classes missing in test", "warning", "cow"),
    "class of test alone": Fault(
        _saved("test/owl/1.png", photo(925)), "classes unseen in train", "error", "owl"
    ),
    "uneven classes": Fault(None, "class imbalance", "warning", "cow"),
    "copy in train": Fault(
        _saved("train/dog/copy.png", photo(101)),
        "copies within a split",
        "note",
        "train/dog/copy.png",
    ),
    "copy in test": Fault(
        _saved("test/dog/copy.png", photo(104)),
        "copies across splits",
        "warning",
        "test/dog/copy.png",
    ),
    "copy of another class": Fault(
        _saved("train/cat/copy.png", photo(105)),
        "contradicting copies",
        "warning",
        "train/cat/copy.png",
    ),
    "stored anew in test": Fault(
        _saved("test/dog/again.jpg", photo(106), quality=90),
        "near copies across splits",
        "error",
        "test/dog/again.jpg",
    ),
    "brighter in test": Fault(
        _saved("test/dog/bright.png", _bright(photo(107))),
        "near copies across splits",
        "error",
        "test/dog/bright.png",
    ),
    "larger in test": Fault(
        _saved("test/dog/large.png", photo(108).resize((60, 60), Image.BICUBIC)),
        "near copies across splits",
        "error",
        "test/dog/large.png",
    ),
    "blurred in train": Fault(
        _saved("train/dog/blur.png", photo(109).filter(ImageFilter.GaussianBlur(0.6))),
        "near copies within a split",
        "note",
        "train/dog/blur.png",
    ),
    "near copy of another class": Fault(
        _saved("train/cat/near.jpg", photo(110), quality=90),
        "contradicting near copies",
        "warning",
        "train/cat/near.jpg",
    ),
    "black": Fault(
        _saved("train/cat/black.png", Image.new("RGB", (SIDE, SIDE))),
        "pictures of one colour",
        "warning",
        "train/cat/black.png",
    ),
    "one colour": Fault(
        _saved("train/cat/red.png", Image.new("RGB", (SIDE, SIDE), "red")),
        "pictures of one colour",
        "warning",
        "train/cat/red.png",
    ),
    "tiny": Fault(
        _saved("train/cat/tiny.png", photo(930, 4)),
        "tiny pictures",
        "warning",
        "train/cat/tiny.png",
    ),
    "very wide": Fault(
        _saved("train/cat/wide.png", photo(931).resize((240, 24))),
        "unusual proportions",
        "warning",
        "train/cat/wide.png",
    ),
    "grey": Fault(
        _saved("train/cat/grey.png", photo(932).convert("L")),
        "grey among colour",
        "note",
        "train/cat/grey.png",
    ),
    "transparent": Fault(
        _saved("train/cat/clear.png", photo(933).convert("RGBA")),
        "transparent pictures",
        "note",
        "train/cat/clear.png",
    ),
}
