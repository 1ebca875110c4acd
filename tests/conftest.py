"""An empty directory for every test, and tiny trained runs that tests share and only read."""

import contextlib
import fcntl
import functools
import gc
import os
import shutil
import signal
import tempfile
import threading
import types
from pathlib import Path

import forked
import pytest

from training import startup

ROOT = Path(__file__).resolve().parents[1]
SHARED = {"served", "found", "refreshed_export"}
GRAPH_TESTS = {"test_graph", "test_list_requests", "test_odd_names"}
HOME = tempfile.TemporaryDirectory(prefix="athanor-tests-")


# Raised inside third-party code.
def pytest_configure(config):
    """Write nothing to the user's home; runs before any test imports TensorFlow."""
    config.add_cleanup(HOME.cleanup)
    os.environ["XDG_CACHE_HOME"] = f"{HOME.name}/cache"
    os.environ["XDG_CONFIG_HOME"] = f"{HOME.name}/config"
    os.environ["XDG_STATE_HOME"] = f"{HOME.name}/state"
    # Inherited by the processes of xdist, which load each other's runs.
    os.environ.setdefault("ATHANOR_KEY_FILE", f"{HOME.name}/key")
    os.environ["KERAS_HOME"] = f"{HOME.name}/keras"
    if "TFDS_DATA_DIR" not in os.environ and (ROOT.parent / "shared" / "tfds").is_dir():
        os.environ["TFDS_DATA_DIR"] = str(ROOT.parent / "shared" / "tfds")
    if hasattr(config, "workerinput"):
        # The processes of xdist share the cores: threads of one would only delay the other.
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ.setdefault(name, "1")
    elif config.getoption("dist", "no") != "no":
        # This process hands out tests and runs none.
        start_forks(config)
        return
    # A shell lets background processes ignore Ctrl-C; tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    startup.start_tensorflow()
    # Without the 400,000 objects of TensorFlow, garbage collection saves a tenth of the time;
    # graphs have many objects that stay, among which a usual collection finds little.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_modifyitems(items):
    """Put tests of fixtures that take seconds first: one process of xdist keeps all of these."""
    items.sort(key=lambda item: SHARED.isdisjoint(getattr(item, "fixturenames", ())))


def start_forks(config):
    """Start the process whose forks replay exports, for this process and those of xdist."""
    os.environ[forked.VARIABLE] = f"{HOME.name}/forks"
    process = forked.start(os.environ[forked.VARIABLE])
    config.add_cleanup(process.wait)
    config.add_cleanup(process.stdin.close)


@pytest.fixture(scope="session", autouse=True)
def replays_are_forked(pytestconfig):
    """Replay exports in forks; tests/test_forked.py compares them with separate processes."""
    from exporting import parity_check

    def run(words, **options):
        if forked.VARIABLE not in os.environ:
            start_forks(pytestconfig)
        return forked.run(words, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity_check, "subprocess", types.SimpleNamespace(run=run))
        yield


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run every test in an empty directory, with an empty state directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture(autouse=True)
def few_trees(request, monkeypatch):
    """Give the trees of every table 50 rounds, as those of a very wide one, not up to 1,000.

    They took a fifth of the time of all tests. Slow tests fit them all.
    """
    if not request.node.get_closest_marker("slow"):
        from apps.regression import boosting

        monkeypatch.setattr(boosting, "MAX_TESTED_INPUTS", 0)


@pytest.fixture(autouse=True)
def few_graphs(request, monkeypatch):
    """Keep no graph of a run for later predictions, outside of the tests of these graphs.

    Each took seconds, in every test that trains or predicts by the command line.
    """
    if request.module.__name__ not in GRAPH_TESTS:
        from inference import saved_graph

        monkeypatch.setattr(saved_graph, "save", lambda _: None)


@pytest.fixture(scope="session", autouse=True)
def few_reviews():
    """Generate 600 reviews, not 6,000; `all_reviews` generates all."""
    from pipelines import embedded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "NUM_REVIEWS", 600)
        yield


@pytest.fixture
def all_reviews(monkeypatch):
    """Generate all reviews, for a test of a score; its runs must be its own."""
    from pipelines import embedded

    monkeypatch.setattr(embedded, "NUM_REVIEWS", 6000)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, worker_id):
    """A function that writes a directory once, and returns its path.

    The first process of pytest that needs the directory writes it; the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def directory(name, write):
        path = shared / name
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                beside = path.with_suffix(".part")
                shutil.rmtree(beside, ignore_errors=True)  # of a test that failed while writing
                write(beside)
                beside.rename(path)
        return path

    return directory


@pytest.fixture(scope="session")
def tiny_run(made_once):
    """A function from an app class to its tiny run, trained once. Do not change the run.

    Tests of a process share the loaded data and model too; `Run.load(run.path)` has neither.
    """
    from training.run import Run
    from training.train import train

    @functools.cache
    def trained(app):
        def write(path):
            train(app.tiny(), run_dir=path, precision="float32", verbose=0)

        return Run.load(made_once(f"tiny-{app.name()}", write))

    return trained


@pytest.fixture(scope="session")
def exported(tiny_run, made_once):
    """A function from an app class to its tiny run with export/1. Do not change the run."""
    from exporting.export import export
    from training.run import Run

    @functools.cache
    def with_exports(app):
        def write(path):
            shutil.copytree(tiny_run(app).path, path)
            export(Run.load(path))

        return Run.load(made_once(f"exported-{app.name()}", write))

    return with_exports


@pytest.fixture(scope="session")
def served(exported):
    """A server of every app's export, with HTTP and gRPC, in a thread of this process."""
    import apps
    from serving.server import Server, Settings

    runs = [str(exported(app).path) for app in apps.ALL]
    access_log = Path(HOME.name) / f"access-log-{os.getpid()}"
    server = Server(runs, Settings(port=0, grpc_port=0, log=access_log, refresh_seconds=0.1))
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=[ready.set])
    thread.start()
    assert ready.wait(30)
    yield server
    server.stop()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def address(served):
    """The address of the server's page."""
    return f"http://127.0.0.1:{served.port}/"


@pytest.fixture
def run(tiny_run):
    """The tiny run of Mnist, loaded from the disk. Do not change it."""
    from apps import Mnist

    return tiny_run(Mnist)


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the tiny run that a test may change."""
    shutil.copytree(run.path, tmp_path / "copied")
    return type(run).load(tmp_path / "copied")


@pytest.fixture(scope="session")
def load():
    """A function from an address to its splits, read once; skips the test without the data."""
    from pipelines import embedded, sources

    known = {}

    def loaded(address):
        place = os.environ.get("TFDS_DATA_DIR", "")
        kind, _, name = address.partition(":")
        if kind == "tfds" and not (Path(place) / name).is_dir():
            pytest.skip(f"needs TFDS_DATA_DIR or ../shared/tfds with the prepared set {name}")
        if address not in known:
            known[address] = sources.load(address, embedded=embedded.digits)
        return known[address]

    return loaded


@pytest.fixture
def run_cli(capfd):
    """A function that runs the command line and returns exit status, output and errors."""
    from cli import main

    def run(*arguments):
        capfd.readouterr()
        # pytest's own stream does not pass through file descriptor 1, which --json redirects.
        with (
            open(1, "w", closefd=False, errors="backslashreplace") as stream,
            contextlib.redirect_stdout(stream),
        ):
            try:
                status = main._run([str(argument) for argument in arguments])
            except SystemExit as end:
                status = end.code
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def write_image(run):
    """A function that writes a test image as a PNG file, and returns its path."""
    import tensorflow as tf

    def written(path):
        image = run.splits.test.numpy([0]).features[0]
        path.write_bytes(tf.io.encode_png(image).numpy())
        return path

    return written
