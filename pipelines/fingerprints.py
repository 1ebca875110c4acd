"""Digests of the examples of each split, to find runs with the same test set."""

import hashlib

import numpy as np

from pipelines.examples import Examples
from pipelines.splits import Splits


def digest_splits(splits: Splits) -> dict[str, str]:
    """Return the digests of train, valid and test, which do not depend on the order of examples."""
    return {name: digest_examples(getattr(splits, name)) for name in ("train", "valid", "test")}


def digest_examples(examples: Examples) -> str:
    """Return a digest of examples and targets, whatever their order and the dropped columns."""
    keys, targets = examples.keys(), examples.target_keys
    order = np.lexsort((targets, keys))
    digest = hashlib.blake2b(keys[order].tobytes(), digest_size=16)
    digest.update(np.ascontiguousarray(targets[order]).tobytes())
    return digest.hexdigest()
