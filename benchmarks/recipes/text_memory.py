"""Train the text app on a generated table of many texts; print peak memory and seconds.

    python benchmarks/recipes/text_memory.py 5_000_000 --model ngrams --seed 0

The table is that of large_texts.py, in the working directory. Memory is anonymous memory of the
process, read ten times a second: pages of mapped files do not count, as the system may drop them.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import large_texts

POLL_SECONDS = 0.1


def anonymous_megabytes(process: int) -> float:
    """Return the anonymous memory of a process in MB; 0 after its end."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+)", status)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def train(path: Path, flags: list[str]) -> dict[str, float]:
    """Train on a table; return peak memory, seconds and accuracy."""
    start, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        words = ["text", "train", "--data", f"{path}", "--run-dir", f"{run}", *flags]
        with subprocess.Popen(
            [sys.executable, "-m", "athanor", *words], stdout=subprocess.DEVNULL
        ) as process:
            while process.poll() is None:
                peak = max(peak, anonymous_megabytes(process.pid))
                time.sleep(POLL_SECONDS)
        if process.returncode:
            raise SystemExit(process.returncode)
        scores = json.loads((run / "scores.json").read_text())
    used = os.times()
    return {
        "megabytes": round(peak),
        "seconds": round(time.perf_counter() - start),
        "cpu_seconds": round(used.children_user + used.children_system),
        "accuracy": scores["test"]["accuracy"],
    }


def main() -> None:
    """Generate the table if it does not exist, train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="Number of texts.")
    parser.add_argument("--model", default="blend")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--seed", default="0")
    options = parser.parse_args()
    path = Path(f"texts-{options.count}.{options.format}")
    if not path.exists():
        large_texts.write(options.count, path)
    flags = ["--model", options.model, "--seed", options.seed]
    print(json.dumps(train(path, flags)))


if __name__ == "__main__":
    main()
