"""Find out which folders are splits and which are classes, without decoding images."""

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from pipelines.examples import AddressError, DataError
from pipelines.files import printable
from pipelines.images.folder_walk import list_files, list_folders, read_header
from pipelines.images.formats import format_name

SPLIT_WORDS = {
    "train": {"train", "training", "trainset"},
    "valid": {"val", "valid", "validate", "validation", "valset", "dev"},
    "test": {"test", "testing", "testset", "eval", "evaluation"},
}
# Words that may accompany one of those: test_set, Train Images.
FILLER_WORDS = {"set", "data", "dataset", "folder", "split", "image", "images", "img", "imgs"}
FILLER_WORDS |= {"picture", "pictures", "photo", "photos"}
MAX_LISTED_FOLDERS = 5  # in a message

MAX_WRAPPING_FOLDERS = 8  # levels of single folders around the class folders

# The folders of each class; one class may lie in several.
Classes = dict[str, list[Path]]
# Classes by split, and lines for the user.
FolderReading = tuple[dict[str, Classes], tuple[str, ...]]


class Layout(NamedTuple):
    """The class folders of each split, the files outside of them, and lines for the user."""

    root: Path
    parts: dict[str, Classes]
    loose: list[Path]
    notes: tuple[str, ...]


def require_directory(root: Path) -> None:
    """Raise AddressError unless `root` is a readable directory."""
    try:
        list(root.iterdir())
    except OSError as error:
        raise AddressError(
            f"Received folder:{root}, which is not a readable directory ({error.strerror}); "
            "expected one that holds a folder of pictures for each class."
        ) from error


def find_layout(root: Path) -> Layout:
    """Find the splits and classes of a directory.

    Split folders have common names in any case, above the class folders or within them.

    Raises:
        AddressError: if there is no such directory.
        DataError: if folders look like splits or folds with unknown names, not like classes.

    """
    require_directory(root)
    top = _unwrap_single_folders(root, set())
    children = list_folders(top)
    splits_and_notes = _find_split_folders(root, children) or _find_splits_in_classes(
        root, children
    )
    if splits_and_notes is None:
        _require_classes(root, children)
        splits_and_notes = {"train": classes(children)}, _note_on_split_names(children)
    parts, notes = splits_and_notes
    if top != root:
        notes = (f"read from {list_names([top], root)}, the only folder", *notes)
    class_folders = [
        folder for part in parts.values() for folders in part.values() for folder in folders
    ]
    directories = {root, top, *(folder.parent for folder in class_folders)}
    return Layout(
        root,
        parts,
        sorted(path for directory in directories for path in list_files(directory)),
        notes,
    )


def label_of(folder: Path) -> str:
    """Return the class of a folder: its name in Unicode normal form NFC."""
    return printable(unicodedata.normalize("NFC", folder.name).strip() or folder.name)


def classes(folders: list[Path]) -> Classes:
    """Group folders by their class."""
    grouped: Classes = {}
    for folder in folders:
        grouped.setdefault(label_of(folder), []).append(folder)
    return dict(sorted(grouped.items()))


def _has_pictures(folder: Path) -> bool:
    return any(format_name(read_header(path)) for path in list_files(folder))


def _unwrap_single_folders(root: Path, known: set[str]) -> Path:
    """Descend through single folders, which archives often put around their content.

    A folder named like a known class is not descended into.
    """
    for _ in range(MAX_WRAPPING_FOLDERS):  # links may lead back
        children = list_folders(root)
        if len(children) != 1 or not list_folders(children[0]) or _has_pictures(root):
            break
        if label_of(children[0]) in known:
            break
        (root,) = children
    return root


def split_named_by(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the split that a folder name means and its other words; None if it means none."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    splits = [split for word in words for split, names in SPLIT_WORDS.items() if word in names]
    if len(splits) != 1:
        return None
    others = [word for word in words if word not in SPLIT_WORDS[splits[0]] | FILLER_WORDS]
    return splits[0], tuple(others)


def _split_folders_of(root: Path, children: list[Path]) -> dict[str, Path]:
    """Find folders named like splits, which may share other words: seg_train, seg_test.

    Raises DataError if two of them mean the same split.
    """
    named = [(child, meant) for child in children if (meant := split_named_by(child.name))]
    rests = [rest for _, (_, rest) in named]
    folders: dict[str, Path] = {}
    for child, (split, rest) in named:
        if rest and rests.count(rest) < 2:
            continue
        if split in folders:
            raise DataError(
                f"Received folder:{root}, where {list_names([folders[split], child], root)} are "
                f"both called like the {split} split; expected one folder of each split. Rename "
                "or merge them."
            )
        folders[split] = child
    return folders


def _find_split_folders(root: Path, children: list[Path]) -> FolderReading | None:
    """Find split folders that hold class folders; None if there are none.

    Without a training folder, validation and test folders count if they hold the same classes as
    the other folders.
    """
    named = _split_folders_of(root, children)
    others = [child for child in children if child not in named.values()]
    notes: list[str] = []
    if "train" in named and list_folders(named["train"]):
        train = classes(list_folders(_unwrap_single_folders(named["train"], set())))
        if others:
            notes.append(f"left out, not named like a split: {list_names(others, root)}")
    else:
        train = classes(others)
        named = {
            split: folder for split, folder in named.items() if _holds_known_classes(folder, train)
        }
        if not named:
            return None
    parts = {"train": train}
    for split in ("valid", "test"):
        if split in named:
            classes_of_split = classes(
                list_folders(_unwrap_single_folders(named[split], set(train)))
            )
            if classes_of_split.keys().isdisjoint(train):
                unused = list_names([named[split]], root)
                notes.append(f"not used, because it holds no training class: {unused}")
                continue
            parts[split] = classes_of_split
            unknown = [
                folder
                for label in classes_of_split.keys() - train.keys()
                for folder in classes_of_split[label]
            ]
            if unknown:
                notes.append(f"not a training class: {list_names(sorted(unknown), root)}")
    return parts, tuple(notes)


def _holds_known_classes(folder: Path, known: Classes) -> bool:
    """Whether a folder holds only folders of known classes."""
    inside = classes(list_folders(folder))
    return bool(inside) and inside.keys() <= known.keys()


def _find_splits_in_classes(root: Path, children: list[Path]) -> FolderReading | None:
    """Find the splits within each class folder; None if there are none."""
    splits_of = {child: _split_folders_of(root, list_folders(child)) for child in children}
    if len(children) < 2 or not all("train" in splits for splits in splits_of.values()):
        return None
    if _shared_classes([splits["train"] for splits in splits_of.values()]):
        return None  # these are folds
    parts: dict[str, Classes] = {}
    for child, splits in splits_of.items():
        for split, folder in splits.items():
            parts.setdefault(split, {}).setdefault(label_of(child), []).append(folder)
    others = [
        folder
        for child, splits in splits_of.items()
        for folder in list_folders(child)
        if folder not in splits.values()
    ]
    notes = [f"left out, not named like a split: {list_names(others, root)}"] if others else []
    return parts, ("every class folder holds the splits", *notes)


def _shared_classes(folders: list[Path]) -> list[str]:
    """Return the class names that all folders hold; none if there is only one such name."""
    names = [set(classes(list_folders(folder))) for folder in folders]
    shared = set.intersection(*names) if len(names) > 1 else set()
    return sorted(shared) if len(shared) > 1 else []


def _require_classes(root: Path, children: list[Path]) -> None:
    """Raise DataError if folders look like splits or folds, not like classes."""
    nested = [child for child in children if list_folders(child) and not _has_pictures(child)]
    if shared := _shared_classes(nested):
        raise DataError(
            f"Received folder:{root}, where {list_names(nested, root)} all hold the folders "
            f"{', '.join(shared[:MAX_LISTED_FOLDERS])}; expected class folders, or train/, val/ "
            "and test/ that hold them. Rename the splits; or, if the upper folders are the "
            "classes, move all pictures of each into it."
        )
    splits = _split_folders_of(root, children)
    if len(splits) > 1 and len(splits) == len(children):
        raise DataError(
            f"Received folder:{root}, where {list_names(children, root)} hold no class folders; "
            "expected a folder of each class within them. Sort the pictures into such folders."
        )


def _note_on_split_names(children: list[Path]) -> tuple[str, ...]:
    """Return a line about classes that are named like splits."""
    named = [child for child in children if (meant := split_named_by(child.name)) and not meant[1]]
    return (
        (f"used as a class, not as a split: {list_names(named, named[0].parent)}",) if named else ()
    )


def list_names(paths: list[Path], root: Path) -> str:
    """Join the names of a few folders for a message."""
    shown = ", ".join(
        f"{printable(str(path.relative_to(root)))}/" for path in paths[:MAX_LISTED_FOLDERS]
    )
    return shown + (
        f" and {len(paths) - MAX_LISTED_FOLDERS} more" if len(paths) > MAX_LISTED_FOLDERS else ""
    )
