"""The wheel, installed in a separate environment, runs from any directory."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import apps

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {
    *("apps", "athanor", "cli", "conformance", "data_checks", "evaluation", "exporting"),
    *("inference", "optimizers", "pipelines", "serving", "training", "tuning"),
}


HAS_PIP = importlib.util.find_spec("pip") is not None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, because setuptools writes into the source directory."""
    if not HAS_PIP and not shutil.which("uv"):
        pytest.skip("neither pip nor uv")
    place = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".*", "build", "runs", "*.egg-info", "__pycache__", "tests")
    source = shutil.copytree(ROOT, place / "source", ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    uv = ["uv", "build", "--quiet", "--wheel", "--out-dir"]
    subprocess.run([*(pip if HAS_PIP else uv), place, source], check=True)
    (found,) = place.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_installs_only_these_names(wheel):
    names = {Path(name).parts[0].removesuffix(".py") for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == TOP_LEVEL
    assert "serving/page/index.html" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.slow
def test_the_installed_wheel_runs_the_demo_from_another_directory(wheel, tmp_path):
    place, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    venv.create(place, with_pip=False)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    uv = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", python]
    subprocess.run([*(pip if HAS_PIP else uv), wheel], env=clean, check=True)
    # The dependencies are those of this environment, whose own athanor is not found so.
    inside = {"base": str(place), "platbase": str(place)}
    libraries = Path(sysconfig.get_path("purelib", vars=inside))
    (libraries / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    done = subprocess.run(
        [str(place / "bin" / "athanor"), "demo", "--json"],
        cwd=elsewhere,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(done.stdout)["demo"]
    assert [row["app"] for row in rows] == [app.name() for app in apps.ALL]
    assert {row["export"] for row in rows} == {"passed"}
    assert (libraries / "apps").is_dir()
