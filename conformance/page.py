"""The table of all checks of all optimizers, ours and Keras's, as a page.

    python -m conformance.page docs/conformance.md

About half a minute an optimizer.
"""

import platform
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

import optimizers
from conformance import table
from conformance.findings import FINDINGS
from conformance.fits import memory
from conformance.subject import subject

MARKS = {"kept": "yes", "broken": "**no**", "skipped": "-"}
HEAD = """# Checks of optimizers

This page shows which checks each optimizer passes. `python -m conformance.page docs/conformance.md`
made it with Keras {keras} on {backend} {version}, NumPy {numpy}, Python {python};
`athanor check-optimizer NAME` shows one optimizer. Each numbered column is a check, explained below
the tables; `-` is a check that does not apply. Memory counts the numbers that the optimizer keeps
for each weight. Keras's optimizers are as `--optimizer NAME` makes them, with gradients of
embeddings summed by row.
"""


def main(path: Path) -> None:
    """Check every optimizer that has a name, and write the page whole."""
    found = {name: list(table.run(name)) for name in sorted(optimizers.names())}
    kept = {name: memory(subject(name)) for name in found}
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(_lines(found, kept)) + "\n")


def _lines(found: dict[str, list[table.Outcome]], kept: dict[str, float]) -> Iterator[str]:
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
        ("Ours", [name for name in found if name in ours]),
        ("Keras's", [name for name in found if name not in ours]),
    ):
        yield f"## {title}\n"
        yield from _table({name: found[name] for name in names}, kept)
        yield ""
    yield "## The checks\n"
    for number, one in enumerate(next(iter(found.values())), 1):
        yield f"{number}. {one.check}: {one.promise}"
    yield "\n## What to report to Keras\n"
    for number, finding in enumerate(FINDINGS, 1):
        yield f"{number}. {finding.title}\n\n   ```python"
        yield textwrap.indent(finding.code.strip(), "   ") + "\n   ```\n"
        told, expected = (text.replace("\n", ", ") for text in (finding.shown(), finding.expected))
        yield f"   It prints `{told}`; expected: `{expected}`.\n"
    yield "## Failed checks\n"
    for name, outcomes in found.items():
        for one in outcomes:
            if one.result == "broken":
                yield f"- `{name}`, {one.check}: {one.reason}"


def _table(found: dict[str, list[table.Outcome]], kept: dict[str, float]) -> Iterator[str]:
    count = len(next(iter(found.values())))
    yield "| optimizer | memory | " + " | ".join(map(str, range(1, count + 1))) + " |"
    yield "|---|---|" + "---|" * count
    for name, outcomes in found.items():
        marks = " | ".join(MARKS[one.result] for one in outcomes)
        yield f"| `{name}` | {kept[name]:g} | {marks} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
