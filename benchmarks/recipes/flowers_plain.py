"""Transfer learning as in the keras.io guide, rewritten for flowers.

    python benchmarks/recipes/flowers_plain.py --folder DIRECTORY --weights FILE

The frozen base runs in every epoch: first a head is trained on top, with random flips and
rotations, then all layers at 1e-5. Three quarters of an hour on two cores. Differences from the
guide: 10 and 8 epochs, as many as athanor's default, in place of 2 and 2; the base is MobileNet
0.75, the images come from train/, val/ and test/ in a directory, the seed is fixed, and a line is
printed for each epoch. The last line is the test accuracy of the last epoch as JSON.

References:
    Chollet, Transfer learning and fine-tuning, keras.io/guides/transfer_learning.

"""

import argparse
import json
from pathlib import Path
from typing import Any

import keras

SIDE = 224
BATCH_SIZE = 32


def load_images(folder: Path, split: str, seed: int) -> Any:
    """Return batches of float images [32, 224, 224, 3], 0 to 255, and class numbers."""
    return keras.utils.image_dataset_from_directory(
        folder / split,
        image_size=(SIDE, SIDE),
        batch_size=BATCH_SIZE,
        shuffle=split == "train",
        seed=seed,
        verbose=False,
    ).prefetch(2)


def network(base: Any, num_classes: int) -> keras.Model:
    """Return the guide's layers around a base."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.RandomFlip("horizontal")(inputs)
    x = keras.layers.RandomRotation(0.1)(x)
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes)(x))


def fit(model: keras.Model, rate: float, train: Any, valid: Any, epochs: int) -> None:
    """Run one of the guide's two stages."""
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(train, validation_data=valid, epochs=epochs, verbose=2)


def main() -> None:
    """Train both stages and evaluate once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--epochs", type=int, nargs=2, default=(10, 8))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    splits = ("train", "val", "test")
    train, valid, test = (load_images(options.folder, split, options.seed) for split in splits)
    shape = (SIDE, SIDE, 3)
    base = keras.applications.MobileNet(
        alpha=0.75, include_top=False, input_shape=shape, weights=options.weights
    )
    base.trainable = False
    model = network(base, len(list((options.folder / "train").iterdir())))
    fit(model, 1e-3, train, valid, options.epochs[0])
    base.trainable = True
    fit(model, 1e-5, train, valid, options.epochs[1])
    loss, accuracy = model.evaluate(test, verbose=0)
    print(json.dumps({"accuracy": accuracy, "loss": loss}))


if __name__ == "__main__":
    main()
