"""Export an app's run on its embedded data in every format; print one JSON object.

    python benchmarks/recipes/formats.py --app mnist --seed 0

Each format is exported separately, as by `athanor APP export RUN --format ...`, so that a refused
format does not prevent another.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from training import startup


def export_all(run: Any) -> dict[str, Any]:
    """Return, by format, the largest difference, tolerance and bytes, or why it is refused."""
    from exporting import savedmodel
    from exporting.export import export
    from inference.portable import RefusedError

    plain = export(run)
    results = {"savedmodel": plain["parity"] | {"bytes": savedmodel.size(Path(plain["export"]))}}
    for name in ("litert", "onnx"):
        try:
            written = export(run, format=name)["formats"][name]
            # The path is in a temporary directory.
            results[name] = {key: value for key, value in written.items() if key != "path"}
        except RefusedError as error:
            results[name] = {"refuses": error.reason}
    return results


def quantize(run: Any) -> dict[str, Any]:
    """Return the cost of each quantization; nothing if LiteRT is refused."""
    from exporting.export import export
    from inference.portable import RefusedError

    try:
        return {
            method: export(run, format="litert", quantize=method)["quantized"]
            for method in ("int8", "float16")
        }
    except RefusedError:
        return {}


def main() -> None:
    """Train, export, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    startup.start_tensorflow()
    import apps
    from training.train import train

    with tempfile.TemporaryDirectory() as directory:
        app = apps.get(options.app)(seed=options.seed)
        run = train(app, run_dir=Path(directory) / "run", verbose=0)
        print(json.dumps({"formats": export_all(run), "quantized": quantize(run)}))


if __name__ == "__main__":
    main()
