"""One app's run on its embedded data in every format, or why not; prints one JSON object.

    python benchmarks/recipes/formats.py --app mnist --seed 0

Each format is exported by itself, as `athanor APP export RUN --format ...` does, so that a
refusal of one hides nothing of another.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from training import startup


def proofs(run: Any) -> dict[str, Any]:
    """By format its largest difference, tolerance and bytes, or the reason of a refusal."""
    from exporting import savedmodel
    from exporting.export import export
    from inference.portable import RefusedError

    plain = export(run)
    found = {"savedmodel": plain["parity"] | {"bytes": savedmodel.size(Path(plain["export"]))}}
    for name in ("litert", "onnx"):
        try:
            written = export(run, format=name)["formats"][name]
            # Where it lay is gone, and says nothing of the format.
            found[name] = {part: value for part, value in written.items() if part != "path"}
        except RefusedError as error:
            found[name] = {"refuses": error.reason}
    return found


def smaller(run: Any) -> dict[str, Any]:
    """By way of quantization what it costs; nothing where LiteRT is refused."""
    from exporting.export import export
    from inference.portable import RefusedError

    try:
        return {
            way: export(run, format="litert", quantize=way)["quantized"]
            for way in ("int8", "float16")
        }
    except RefusedError:
        return {}


def main() -> None:
    """Train, export, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    startup.start_tensorflow()
    import apps
    from training.train import train

    with tempfile.TemporaryDirectory() as directory:
        app = apps.get(given.app)(seed=given.seed)
        run = train(app, run_dir=Path(directory) / "run", verbose=0)
        print(json.dumps({"formats": proofs(run), "quantized": smaller(run)}))


if __name__ == "__main__":
    main()
