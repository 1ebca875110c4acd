"""Train the same two convolutions on MNIST by a plain PyTorch loop.

    python benchmarks/recipes/convnet_pytorch.py --arrays mnist.npz --loader images

Prints, as the last line, examples per second of the second epoch as JSON. The loop counts correct
answers too, as convnet_athanor.py does.
"""

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

BATCH_SIZE = 100


class Images(Dataset):
    """Images as torchvision's MNIST with ToTensor gives them, without its PIL images."""

    def __init__(self, images: np.ndarray, classes: np.ndarray) -> None:
        self.images, self.classes = images, classes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """uint8 [height, width, channel] -> float [channel, height, width] from 0 to 1."""
        image = torch.from_numpy(self.images[index].transpose(2, 0, 1)).contiguous()
        return image.to(torch.float32).div(255), int(self.classes[index])


class Slices(NamedTuple):
    """Float tensors, shuffled and split into batches without a loader."""

    images: Tensor
    classes: Tensor

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(self.images)).split(BATCH_SIZE):
            yield self.images[rows], self.classes[rows]


def batches(loader: str, arrays: Path, workers: int) -> Iterable:
    """Return shuffled batches of 100; `loader` is images (slowest), tensors or slices (fastest)."""
    with np.load(arrays) as file:
        images, classes = file["features"], file["target"]
    if loader == "images":
        return DataLoader(Images(images, classes), BATCH_SIZE, shuffle=True, num_workers=workers)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 255
    if loader == "slices":
        return Slices(pixels, torch.from_numpy(classes))
    dataset = TensorDataset(pixels, torch.from_numpy(classes))
    return DataLoader(dataset, BATCH_SIZE, shuffle=True, num_workers=workers)


def network() -> nn.Module:
    """[batch, 1, 28, 28] -> logits [batch, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 10),
    )


class Epoch(NamedTuple):
    """Mean loss and accuracy in training, and seconds."""

    loss: float
    accuracy: float
    seconds: float


def train(model: nn.Module, optimizer: Any, examples: Iterable, *, bfloat16: bool) -> Epoch:
    """Train one epoch."""
    start = time.perf_counter()
    loss_sum, correct, num_examples = torch.zeros(()), torch.zeros((), dtype=torch.int64), 0
    for images, classes in examples:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            logits = model(images)
            loss = nn.functional.cross_entropy(logits, classes)
        loss.backward()
        optimizer.step()
        loss_sum += loss.detach() * len(classes)
        correct += (logits.argmax(1) == classes).sum()
        num_examples += len(classes)
    seconds = time.perf_counter() - start
    return Epoch(loss_sum.item() / num_examples, correct.item() / num_examples, seconds)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train two epochs; the second counts."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(os.cpu_count() or 1)
    examples = batches(options.loader, options.arrays, options.workers)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    bfloat16 = options.precision == "bfloat16"
    _, counted = (train(model, optimizer, examples, bfloat16=bfloat16) for _ in range(2))
    with np.load(options.arrays) as file:
        num_examples = len(file["target"])
    return {
        "examples_per_second": num_examples / counted.seconds,
        "loss": counted.loss,
        "accuracy": counted.accuracy,
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "precision": options.precision,
    }


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arrays", type=Path, required=True)
    parser.add_argument("--loader", choices=["images", "tensors", "slices"], default="images")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
