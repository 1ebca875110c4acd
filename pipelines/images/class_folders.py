"""Which folders are splits and which are classes; no picture is decoded here."""

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from pipelines.examples import AddressError, DataError
from pipelines.files import printable
from pipelines.images.folder_walk import folders, loose_files, start_of
from pipelines.images.formats import format_of

SPLIT_WORDS = {
    "train": {"train", "training", "trainset"},
    "valid": {"val", "valid", "validate", "validation", "valset", "dev"},
    "test": {"test", "testing", "testset", "eval", "evaluation"},
}
# Words that may stand beside one of those: test_set, Train Images.
FILLERS = {"set", "data", "dataset", "folder", "split", "image", "images", "img", "imgs"}
FILLERS |= {"picture", "pictures", "photo", "photos"}
SHOWN = 5  # folders that a message names

MOST_LEVELS = 8  # of folders around those of the classes

# The folders of each class; one class may lie in several.
Classes = dict[str, list[Path]]
# Classes by split, and lines for the user.
Reading = tuple[dict[str, Classes], tuple[str, ...]]


class Layout(NamedTuple):
    """The class folders of each split, the files in none of them, and lines for the user."""

    root: Path
    parts: dict[str, Classes]
    loose: list[Path]
    notes: tuple[str, ...]


def require_directory(root: Path) -> None:
    """Raise AddressError where there is no directory that can be read."""
    try:
        list(root.iterdir())
    except OSError as error:
        raise AddressError(
            f"Received folder:{root}, which is no directory that can be read ({error.strerror}); "
            "expected one that holds a folder of pictures for each class."
        ) from error


def layout(root: Path) -> Layout:
    """The splits and classes of a directory.

    Splits are known by the usual words in any case, above the class folders or within them.

    Raises:
        AddressError: if there is no such directory.
        DataError: if folders look like splits or folds of unknown names in place of classes.

    """
    require_directory(root)
    top = _descended(root, set())
    children = folders(top)
    found = _of_splits(root, children) or _of_classes(root, children)
    if found is None:
        _require_classes(root, children)
        found = {"train": classes(children)}, _called_like_splits(children)
    parts, notes = found
    if top != root:
        notes = (f"read from {names([top], root)}, the only folder", *notes)
    held = [folder for part in parts.values() for some in part.values() for folder in some]
    places = {root, top, *(folder.parent for folder in held)}
    return Layout(
        root, parts, sorted(path for place in places for path in loose_files(place)), notes
    )


def label_of(folder: Path) -> str:
    """The class of a folder: its name, the same however a system encodes its accents."""
    return printable(unicodedata.normalize("NFC", folder.name).strip() or folder.name)


def classes(some: list[Path]) -> Classes:
    """Folders by their class."""
    found: Classes = {}
    for folder in some:
        found.setdefault(label_of(folder), []).append(folder)
    return dict(sorted(found.items()))


def _has_pictures(folder: Path) -> bool:
    return any(format_of(start_of(path)) for path in loose_files(folder))


def _descended(root: Path, known: set[str]) -> Path:
    """The folder that holds several: archives often add a folder around their content.

    A folder of a class that is known stays one.
    """
    for _ in range(MOST_LEVELS):  # links may lead back
        children = folders(root)
        if len(children) != 1 or not folders(children[0]) or _has_pictures(root):
            break
        if label_of(children[0]) in known:
            break
        (root,) = children
    return root


def _split_of(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The split that a name means, and its other words; None if it means none."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    splits = [split for word in words for split, ours in SPLIT_WORDS.items() if word in ours]
    if len(splits) != 1:
        return None
    others = [word for word in words if word not in SPLIT_WORDS[splits[0]] | FILLERS]
    return splits[0], tuple(others)


def _splits(root: Path, children: list[Path]) -> dict[str, Path]:
    """The folders that are splits by their names, which may share other words: seg_train, seg_test.

    Raises DataError if two of them are the same split.
    """
    named = [(child, meant) for child in children if (meant := _split_of(child.name))]
    rests = [rest for _, (_, rest) in named]
    found: dict[str, Path] = {}
    for child, (split, rest) in named:
        if rest and rests.count(rest) < 2:
            continue
        if split in found:
            raise DataError(
                f"Received folder:{root}, where {names([found[split], child], root)} are both "
                f"called like the {split} split; expected one folder of each split. Rename or "
                "join them."
            )
        found[split] = child
    return found


def _of_splits(root: Path, children: list[Path]) -> Reading | None:
    """Splits that hold class folders; None if there are none.

    Without a folder for training, those for validation and test count if they repeat classes
    beside them.
    """
    named = _splits(root, children)
    others = [child for child in children if child not in named.values()]
    notes: list[str] = []
    if "train" in named and folders(named["train"]):
        train = classes(folders(_descended(named["train"], set())))
        if others:
            notes.append(f"left out, for it is no split by its name: {names(others, root)}")
    else:
        train = classes(others)
        named = {split: folder for split, folder in named.items() if _repeats(folder, train)}
        if not named:
            return None
    parts = {"train": train}
    for split in ("valid", "test"):
        if split in named:
            held = classes(folders(_descended(named[split], set(train))))
            if held.keys().isdisjoint(train):
                notes.append(
                    f"not used, for it holds no training class: {names([named[split]], root)}"
                )
                continue
            parts[split] = held
            strange = [folder for label in held.keys() - train.keys() for folder in held[label]]
            if strange:
                notes.append(f"no training class has this name: {names(sorted(strange), root)}")
    return parts, tuple(notes)


def _repeats(folder: Path, known: Classes) -> bool:
    """Whether a folder holds folders of known classes alone."""
    held = classes(folders(folder))
    return bool(held) and held.keys() <= known.keys()


def _of_classes(root: Path, children: list[Path]) -> Reading | None:
    """Class folders each of which holds the splits; None if they do not."""
    held = {child: _splits(root, folders(child)) for child in children}
    if len(children) < 2 or not all("train" in splits for splits in held.values()):
        return None
    if _shared([splits["train"] for splits in held.values()]):
        return None  # folds
    parts: dict[str, Classes] = {}
    for child, splits in held.items():
        for split, folder in splits.items():
            parts.setdefault(split, {}).setdefault(label_of(child), []).append(folder)
    others = [
        folder
        for child, splits in held.items()
        for folder in folders(child)
        if folder not in splits.values()
    ]
    left = [f"left out, for it is no split by its name: {names(others, root)}"] if others else []
    return parts, ("every class folder holds the splits", *left)


def _shared(some: list[Path]) -> list[str]:
    """The classes that several folders would all hold; none if it is one alone."""
    held = [set(classes(folders(folder))) for folder in some]
    shared = set.intersection(*held) if len(held) > 1 else set()
    return sorted(shared) if len(shared) > 1 else []


def _require_classes(root: Path, children: list[Path]) -> None:
    """Raise DataError if folders look like splits or folds in place of classes."""
    nested = [child for child in children if folders(child) and not _has_pictures(child)]
    if shared := _shared(nested):
        raise DataError(
            f"Received folder:{root}, where {names(nested, root)} all hold the folders "
            f"{', '.join(shared[:SHOWN])}; expected class folders, or train/, val/ and test/ that "
            "hold them. Rename the splits; or, if the upper folders are the classes, move all "
            "pictures of each into it."
        )
    splits = _splits(root, children)
    if len(splits) > 1 and len(splits) == len(children):
        raise DataError(
            f"Received folder:{root}, where {names(children, root)} hold no class folders; "
            "expected a folder of each class within them. Sort the pictures into such folders."
        )


def _called_like_splits(children: list[Path]) -> tuple[str, ...]:
    """A line about classes that are called like splits."""
    named = [child for child in children if (meant := _split_of(child.name)) and not meant[1]]
    return (
        (f"taken for a class, not for a split: {names(named, named[0].parent)}",) if named else ()
    )


def names(some: list[Path], root: Path) -> str:
    """Some folders, for people."""
    shown = ", ".join(f"{printable(str(path.relative_to(root)))}/" for path in some[:SHOWN])
    return shown + (f" and {len(some) - SHOWN} more" if len(some) > SHOWN else "")
