"""Which folders are splits and which are classes."""

import pytest

from pipelines.examples import DataError
from pipelines.images.class_folders import find_layout
from pipelines.images.formats import PNG

PICTURE = PNG.signatures[0][1]


@pytest.fixture
def root(tmp_path):
    """An empty directory."""
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


def lay(root, *folders, file="a.png"):
    """Write an image into each of these folders."""
    for name in folders:
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / file).write_bytes(PICTURE)


def within(*splits, classes=("blue", "red")):
    return [f"{split}/{label}" for split in splits for label in classes]


def read(root):
    """Return the classes of each split, and the notes."""
    found = find_layout(root)
    return {split: sorted(part) for split, part in found.parts.items()}, found.notes


NAMES = [
    ("train", "val", "test"),
    ("Train", "Val", "Test"),
    ("TRAIN", "VALID", "TEST"),
    ("Training", "Validation", "Testing"),
    ("training_set", "dev_set", "test_set"),
    ("train-images", "val images", "eval"),
    ("TrainSet", "ValSet", "TestSet"),
    ("seg_train", "seg_dev", "seg_test"),
    ("train2017", "val2017", "test2017"),
    ("01 train", "02 validation", "03 evaluation"),
]


@pytest.mark.parametrize("splits", NAMES, ids="/".join)
def test_splits_are_known_by_the_usual_words_in_any_case(root, splits):
    lay(root, *within(*splits))
    assert read(root) == ({split: ["blue", "red"] for split in ("train", "valid", "test")}, ())


@pytest.mark.parametrize("splits", [("Training", "Testing"), ("train", "dev"), ("Train",)])
def test_a_split_may_be_missing(root, splits):
    lay(root, *within(*splits))
    parts, _ = read(root)
    assert len(parts) == len(splits) and set(map(tuple, parts.values())) == {("blue", "red")}


def test_class_folders_may_hold_the_splits(root):
    lay(root, *within("cat", "dog", classes=("Train", "test")))
    parts, notes = read(root)
    assert parts == {"train": ["cat", "dog"], "test": ["cat", "dog"]}
    assert "every class folder holds the splits" in notes


def test_a_test_folder_beside_the_classes_is_the_test_split(root):
    lay(root, "cat", "dog", "test/cat", "test/dog")
    assert read(root)[0] == {"train": ["cat", "dog"], "test": ["cat", "dog"]}


@pytest.mark.parametrize(
    "folders",
    [
        within("Fold1", "Fold2"),
        within("2019", "2020", "2021"),
        [*within("Fold1", "Fold2"), "notes"],
        within("fold1/train", "fold1/test", "fold2/train", "fold2/test"),
        within("val", "test"),
    ],
    ids=["folds", "years", "folds and notes", "folds of splits", "no training"],
)
def test_classes_that_hold_the_same_folders_are_refused(root, folders):
    lay(root, *folders)
    with pytest.raises(DataError, match="all hold the folders"):
        find_layout(root)


def test_splits_without_class_folders_are_refused(root):
    lay(root, "train", "test")
    with pytest.raises(DataError, match=r"test/, train/ hold no class folders"):
        find_layout(root)


def test_two_folders_of_one_split_are_refused(root):
    lay(root, *within("train", "val", "Validation"))
    with pytest.raises(DataError, match=r"Validation/, val/ are both called like the valid split"):
        find_layout(root)


def test_a_class_may_be_called_like_a_split(root):
    lay(root, "car", "train")
    assert read(root) == (
        {"train": ["car", "train"]},
        ("used as a class, not as a split: train/",),
    )
    lay(root, "pregnancy test")
    assert read(root)[0] == {"train": ["car", "pregnancy test", "train"]}


def test_nested_folders_belong_to_the_class_above(root):
    lay(root, "cat/2019", "cat/2020", "dog/2020", "dog/night")
    assert read(root)[0] == {"train": ["cat", "dog"]}


def test_single_outer_folders_are_skipped(root):
    lay(root, *within("photos/v1/train/data", "photos/v1/test"), "__MACOSX/photos")
    parts, notes = read(root)
    assert parts == {"train": ["blue", "red"], "test": ["blue", "red"]}
    assert notes == ("read from photos/v1/, the only folder",)


def test_other_folders_beside_splits_are_noted(root):
    lay(root, *within("train", "test"), "test/green", "extra/blue", "val")
    parts, notes = read(root)
    assert parts == {"train": ["blue", "red"], "test": ["blue", "green", "red"]}
    assert "left out, not named like a split: extra/" in notes
    assert "not a training class: test/green/" in notes
    assert "not used, because it holds no training class: val/" in notes


@pytest.mark.parametrize(
    "name", [".git", "__MACOSX", ".ipynb_checkpoints", "@eaDir", "$RECYCLE.BIN"]
)
def test_system_folders_are_not_classes(root, name):
    lay(root, "blue", "red", name)
    assert read(root)[0] == {"train": ["blue", "red"]}


def test_a_name_is_one_class_however_it_is_encoded(root):
    lay(root, "train/cafe\u0301", "train/猫 [1] 100%", "test/caf\u00e9", "test/猫 [1] 100%")
    assert read(root)[0] == {split: ["café", "猫 [1] 100%"] for split in ("train", "test")}


def test_names_that_cannot_be_written_are_escaped(root):
    lay(root, "a\nb", "b\udcff")
    assert read(root)[0] == {"train": [r"a\nb", r"b\udcff"]}


def test_links_into_the_same_folder_are_not_followed(root):
    lay(root, "blue", "red")
    (root / "blue" / "again").symlink_to(root, target_is_directory=True)
    assert read(root)[0] == {"train": ["blue", "red"]}
    alone = root / "red" / "alone"
    alone.mkdir()
    (alone / "itself").symlink_to(alone, target_is_directory=True)
    assert read(alone)[0]["train"]


def test_no_directory_is_refused(root):
    with pytest.raises(DataError, match="not a readable directory"):
        find_layout(root / "missing")
