"""A digest of the examples of each split, by which two runs are known to share one."""

import hashlib

import numpy as np

from pipelines.examples import Examples
from pipelines.splits import Splits


def of_parts(splits: Splits) -> dict[str, str]:
    """The digest of train, valid and test: the same examples in any order have the same."""
    return {name: of_examples(getattr(splits, name)) for name in ("train", "valid", "test")}


def of_examples(examples: Examples) -> str:
    """The digest of examples and their targets, in any order; of rows, whatever was left out."""
    keys, targets = examples.keys(), examples.targets
    order = np.lexsort((targets, keys))
    digest = hashlib.blake2b(keys[order].tobytes(), digest_size=16)
    digest.update(np.ascontiguousarray(targets[order]).tobytes())
    return digest.hexdigest()
