"""The start of a server: warm-up requests, and the threads of a version."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from apps import Mnist
from inference.servable import ALL_CORES, Servable
from serving import loading
from serving.http import self_request
from serving.request_executor import RequestExecutor
from serving.server import Server, Settings

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def export(exported):
    return exported(Mnist).path / "export" / "1"


def test_a_server_warms_up_over_http_without_logging(exported, tmp_path, monkeypatch):
    bodies = []
    execute = RequestExecutor.execute

    async def counted(self, servable, body):
        bodies.append(body)
        return await execute(self, servable, body)

    monkeypatch.setattr(RequestExecutor, "execute", counted)
    log, ready = tmp_path / "log", threading.Event()
    server = Server([f"a-model={exported(Mnist).path}"], Settings(port=0, log=log))
    thread = threading.Thread(target=server.run, args=[ready.set])
    thread.start()
    assert ready.wait(30)
    server.stop()
    thread.join(30)
    assert len(bodies) >= self_request.MAX_REPEATS
    assert any(body.startswith(b'{"instances"') for body in bodies)
    events = {json.loads(line)["event"] for line in log.read_text().splitlines()}
    assert "serving" in events
    assert "request" not in events
    assert b"athanor_requests_total{" not in server.metrics.text()


@pytest.mark.parametrize(
    ("seconds", "threads"), [(60.0, 1), (0.0, ALL_CORES)], ids=["quick", "slow"]
)
def test_a_quick_model_runs_in_one_thread(seconds, threads, export, monkeypatch):
    monkeypatch.setattr("serving.warmup.MAX_INLINE_SECONDS", seconds)
    servable = loading.load(export, 1)
    assert servable.threads == threads
    assert servable.signatures
    servable.close()


def test_a_model_that_fails_its_warm_up_is_closed(export, monkeypatch):
    created = []

    class Recorded(Servable):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            created.append(self)

    def fails(_):
        raise ValueError("broken")

    monkeypatch.setattr(loading, "Servable", Recorded)
    monkeypatch.setattr(loading, "warm_up", fails)
    with pytest.raises(ValueError, match="broken"):
        loading.load(export, 1)
    assert created
    assert not any(one.signatures for one in created)


COUNT = """
import sys
from pathlib import Path
from serving import startup
startup.start_tensorflow()
from inference.servable import Servable

def count():
    return len(list(Path("/proc/self/task").iterdir()))

for threads in (1, 9):
    before = count()
    servable = Servable(Path(sys.argv[1]), 1, threads)
    print(count() - before)
    servable.close()
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists threads")
def test_each_version_has_its_own_threads(export):
    command = [sys.executable, "-c", COUNT, str(export)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    one, nine = map(int, done.stdout.split())
    assert nine >= 9 > one
