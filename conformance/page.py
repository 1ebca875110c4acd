"""Write a page with the checks of all optimizers, ours and Keras's.

    python -m conformance.page docs/conformance.md

It takes about half a minute per optimizer.
"""

import platform
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

import optimizers
from conformance import suite
from conformance.keras_issues import KERAS_ISSUES
from conformance.subject import find_subject
from conformance.training_checks import memory

SYMBOLS = {"passed": "yes", "failed": "**no**", "skipped": "-"}
HEAD = """# Checks of optimizers

This page shows which checks each optimizer passes. `python -m conformance.page docs/conformance.md`
made it with Keras {keras} on {backend} {version}, NumPy {numpy}, Python {python};
`athanor check-optimizer NAME` shows one optimizer. Each numbered column is a check, explained below
the tables; `-` is a check that does not apply. Memory counts the numbers that the optimizer keeps
for each weight. Keras's optimizers are as `--optimizer NAME` makes them, with gradients of
embeddings summed by row.
"""


def main(path: Path) -> None:
    """Check every named optimizer and write the page."""
    results = {name: list(suite.run(name)) for name in sorted(optimizers.names())}
    sizes = {name: memory(find_subject(name)) for name in results}
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(_lines(results, sizes)) + "\n")


def _lines(results: dict[str, list[suite.Outcome]], sizes: dict[str, float]) -> Iterator[str]:
    backend = keras.backend.backend()
    module = __import__(backend)
    yield HEAD.format(
        keras=keras.__version__,
        backend={"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}[backend],
        version=module.__version__,
        numpy=np.__version__,
        python=platform.python_version(),
    )
    ours = {cls.__name__.lower() for cls in (*optimizers.ALL, *optimizers.WRAPPERS)}
    for title, names in (
        ("Ours", [name for name in results if name in ours]),
        ("Keras's", [name for name in results if name not in ours]),
    ):
        yield f"## {title}\n"
        yield from _table({name: results[name] for name in names}, sizes)
        yield ""
    yield "## The checks\n"
    for number, outcome in enumerate(next(iter(results.values())), 1):
        yield f"{number}. {outcome.check}: {outcome.description}"
    yield "\n## What to report to Keras\n"
    for number, issue in enumerate(KERAS_ISSUES, 1):
        yield f"{number}. {issue.title}\n\n   ```python"
        yield textwrap.indent(issue.code.strip(), "   ") + "\n   ```\n"
        actual, expected = (text.replace("\n", ", ") for text in (issue.actual(), issue.expected))
        yield f"   It prints `{actual}`; expected: `{expected}`.\n"
    yield "## Failed checks\n"
    for name, outcomes in results.items():
        for outcome in outcomes:
            if outcome.result == "failed":
                yield f"- `{name}`, {outcome.check}: {outcome.reason}"


def _table(results: dict[str, list[suite.Outcome]], sizes: dict[str, float]) -> Iterator[str]:
    count = len(next(iter(results.values())))
    yield "| optimizer | memory | " + " | ".join(map(str, range(1, count + 1))) + " |"
    yield "|---|---|" + "---|" * count
    for name, outcomes in results.items():
        symbols = " | ".join(SYMBOLS[outcome.result] for outcome in outcomes)
        yield f"| `{name}` | {sizes[name]:g} | {symbols} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
