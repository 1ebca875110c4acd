"""Write the recorded results between the markers of Markdown files.

    python benchmarks/render.py README.md benchmarks/README.md docs/optimizers.md

The text between two markers is replaced by all results/*.json, or by those that the first marker
names, `<!-- results NAME NAME -->`.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from protocol import RESULTS, Table, markdown

RESULTS_MARKERS = re.compile(r"(<!-- results([\w ]*) -->).*?(<!-- /results -->)", re.DOTALL)


def section(result: dict[str, Any]) -> str:
    """Return title, table and conditions of one result."""
    table = markdown(Table(**result["table"]))
    return "\n\n".join([f"**{result['title']}**", table, conditions(result)])


def conditions(result: dict[str, Any]) -> str:
    """Describe the conditions of the numbers in a sentence or two."""
    facts = result["protocol"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    others = [run["others"] for run in result["runs"] if run["others"] is not None]
    noise = f" Other processes kept at most {max(others):.2f} cores busy." if others else ""
    repeats = facts["repeats"]
    times = f"Median (least to most) of {repeats} runs each" if repeats > 1 else "One run each"
    seeds = ", ".join(map(str, facts["seeds"]))
    missing = facts.get("missing")
    absent = f" Not installed, so not measured: {', '.join(missing)}." if missing else ""
    return (
        f"{times} {facts.get('how', 'in turn')}, seed {seeds}: "
        f"`{facts['command']}` on {facts['date'][:10]}, commit {facts['commit']}; "
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']:.0f} GiB; "
        f"{versions}.{absent}{noise}"
    )


def fill(text: str, sections: dict[str, str]) -> str:
    """Replace the text between each pair of markers. Raises ValueError if there is none."""

    def filled(match: re.Match) -> str:
        names = match[2].split() or sorted(sections)
        if missing := set(names) - set(sections):
            raise ValueError(f"no results of {', '.join(sorted(missing))}; run their benchmarks")
        results = "\n\n".join(sections[name] for name in names)
        results = results or "None recorded yet: `make bench`."
        return f"{match[1]}\n\n{results}\n\n{match[3]}"

    rendered, count = RESULTS_MARKERS.subn(filled, text)
    if not count:
        raise ValueError("expected <!-- results --> and, after it, <!-- /results -->")
    return rendered


def main() -> None:
    """Rewrite the files named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    files = parser.parse_args().files
    paths = sorted(RESULTS.glob("*.json"))
    sections = {path.stem: section(json.loads(path.read_text())) for path in paths}
    for path in files:
        try:
            path.write_text(fill(path.read_text(), sections))
        except (OSError, ValueError) as error:
            raise SystemExit(f"{path}: {error}") from error


if __name__ == "__main__":
    main()
