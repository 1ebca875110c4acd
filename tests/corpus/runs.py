"""Damaged runs of mnist: the damage to a copy, and a part of the error message."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Damage = Callable[[Path], Any]


def holds(name: str, content: bytes) -> Damage:
    """Replace the content of a file."""
    return lambda run: (run / name).write_bytes(content)


def cut(name: str, share: float) -> Damage:
    """Truncate a file."""

    def damage(run: Path) -> None:
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: int(share * len(content))])

    return damage


def without(name: str) -> Damage:
    """Remove a file."""
    return lambda run: (run / name).unlink()


def directory(name: str) -> Damage:
    """Replace a file by a directory."""

    def damage(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).mkdir()

    return damage


def nowhere(name: str) -> Damage:
    """Replace a file by a dangling link."""

    def damage(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to("nowhere")

    return damage


def manifest(**parts: Any) -> Damage:
    """Replace parts of run.json; Ellipsis removes one."""

    def damage(run: Path) -> None:
        content = json.loads((run / "run.json").read_text()) | parts
        kept = {name: part for name, part in content.items() if part is not ...}
        (run / "run.json").write_text(json.dumps(kept))

    return damage


def within(name: str, **parts: Any) -> Damage:
    """Replace parts of an object in run.json; Ellipsis removes one."""

    def damage(run: Path) -> None:
        content = json.loads((run / "run.json").read_text())
        content[name] = {k: v for k, v in (content[name] | parts).items() if v is not ...}
        (run / "run.json").write_text(json.dumps(content))

    return damage


def model(members: dict[str, bytes], *, keep_own: bool = True) -> Damage:
    """Add members to model.keras, or replace all of its own."""

    def damage(run: Path) -> None:
        path = run / "model.keras"
        with zipfile.ZipFile(path) as file:
            own = {name: file.read(name) for name in file.namelist()} if keep_own else {}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in (own | members).items():
                file.writestr(name, content)

    return damage


def config(change: Callable[[str], str]) -> Damage:
    """Change config.json in model.keras."""

    def damage(run: Path) -> None:
        with zipfile.ZipFile(run / "model.keras") as file:
            text = file.read("config.json").decode()
        model({"config.json": change(text).encode()})(run)

    return damage


def samples(**arrays: Any) -> Damage:
    """Replace arrays of the samples."""

    def damage(run: Path) -> None:
        with (run / "samples.npz").open("wb") as file:
            np.savez(file, **arrays)

    return damage


def objects() -> bytes:
    """Return an array that only pickle can read."""
    file = io.BytesIO()
    np.savez(file, answers=np.array([{"a": 1}, None], dtype=object), **{"raw/": np.zeros(2)})
    return file.getvalue()


def evil(text: str) -> str:
    """Replace a layer by an arbitrary Python function."""
    content = json.loads(text)
    layer = content["config"]["layers"][-1]
    layer |= {"module": "builtins", "class_name": "eval", "registered_name": "eval"}
    return json.dumps(content)


def lambda_layer(text: str) -> str:
    """Replace a layer by marshalled code."""
    content = json.loads(text)
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": None}}
    layer = content["config"]["layers"][-1]
    layer |= {"module": "keras.layers", "class_name": "Lambda", "registered_name": None}
    layer["config"] = {"name": "evil", "function": code}
    return json.dumps(content)


EVALUATE, PREDICT, EXPORT = "evaluate", "predict", "export"
ZEROS = b"\0" * 2**26
# By name: the damage to a copy of a run, the verb, and a part of its error message.
RUNS: dict[str, tuple[Damage, str, str]] = {
    "nothing there": (shutil.rmtree, EVALUATE, "run.json"),
    "empty": (lambda run: (shutil.rmtree(run), run.mkdir()), EVALUATE, "run.json"),
    "a file": (lambda run: (shutil.rmtree(run), run.write_bytes(b"")), EVALUATE, "run.json"),
    "a link to nowhere": (
        lambda run: (shutil.rmtree(run), run.symlink_to("nowhere")),
        EVALUATE,
        "run.json",
    ),
    "a link to itself": (
        lambda run: (shutil.rmtree(run), run.symlink_to(run)),
        EVALUATE,
        "run",
    ),
    "no run.json": (without("run.json"), EVALUATE, "run.json"),
    "run.json a directory": (directory("run.json"), EVALUATE, "run.json"),
    "run.json a link to nowhere": (nowhere("run.json"), EVALUATE, "run.json"),
    "run.json empty": (holds("run.json", b""), EVALUATE, "run.json"),
    "run.json cut short": (cut("run.json", 0.7), EVALUATE, "run.json"),
    "run.json no JSON": (holds("run.json", b"hello"), EVALUATE, "run.json"),
    "run.json bytes": (holds("run.json", bytes(range(256))), EVALUATE, "run.json"),
    "run.json of NUL": (holds("run.json", b"\0" * 500), EVALUATE, "run.json"),
    "run.json in UTF-16": (holds("run.json", '{"app": "mnist"}'.encode("utf-16")), PREDICT, "run"),
    "run.json deep": (holds("run.json", b"[" * 100_000), EVALUATE, "run.json"),
    "run.json deep objects": (holds("run.json", b'{"a":' * 50_000), EVALUATE, "run.json"),
    "run.json null": (holds("run.json", b"null"), EVALUATE, "run.json"),
    "run.json a list": (holds("run.json", b"[1, 2]"), EVALUATE, "run.json"),
    "run.json a number": (holds("run.json", b"3"), EVALUATE, "run.json"),
    "run.json a text": (holds("run.json", b'"run"'), EVALUATE, "run.json"),
    "run.json an empty object": (holds("run.json", b"{}"), EVALUATE, "run.json"),
    **{
        f"run.json without {part}": (manifest(**{part: ...}), verb, part)
        for part, verb in (
            ("app", EVALUATE),
            ("question", PREDICT),
            ("answer", EVALUATE),
            ("fields", EVALUATE),
            ("data", EVALUATE),
            ("labels", PREDICT),
            ("precision", EXPORT),
            ("reading", PREDICT),
            ("seconds", EVALUATE),
            ("examples_per_second", EVALUATE),
            ("parameters", EVALUATE),
        )
    },
    "an app that is none": (manifest(app="astrology"), EVALUATE, "astrology"),
    "an app of another kind": (manifest(app="text"), EVALUATE, "text"),
    "an app that is a number": (manifest(app=3), EVALUATE, "app"),
    "an app that is a path": (manifest(app="../../etc"), EVALUATE, "../../etc"),
    "a question that is none": (manifest(question="smell"), PREDICT, "question"),
    "a question that is a module": (manifest(question="os"), PREDICT, "question"),
    "an answer that is none": (manifest(answer="poem"), EVALUATE, "answer"),
    "fields of another app": (within("fields", backbone="digits"), EVALUATE, "backbone"),
    "a field out of range": (within("fields", epochs=-1), EVALUATE, "--epochs"),
    "a field of another kind": (within("fields", epochs="many"), EVALUATE, "--epochs"),
    "a field that is a list": (within("fields", model=["cnn"]), EVALUATE, "--model"),
    "a data address that is none": (within("fields", data="nowhere"), EVALUATE, "nowhere"),
    "data that are gone": (within("fields", data="tfds:gone"), EVALUATE, "tfds:gone"),
    "another fingerprint": (within("data", fingerprint="0"), EVALUATE, "differ"),
    "no fingerprint": (within("data", fingerprint=...), EVALUATE, "data"),
    "a fold that is none": (within("data", fold={"number": 0, "of": 0}), EVALUATE, "data"),
    "labels that are numbers": (manifest(labels=[1, 2, 3]), PREDICT, "labels"),
    "labels that are few": (manifest(labels=["a"]), PREDICT, "labels"),
    "labels that are a text": (manifest(labels="0123456789"), PREDICT, "labels"),
    "no way of reading": (manifest(reading=None), PREDICT, "reading"),
    "a way of reading that is none": (within("reading", way="os"), PREDICT, "reading"),
    "a way of reading without a shape": (within("reading", shape=...), PREDICT, "reading"),
    "a shape of words": (within("reading", shape=["a", "b", "c"]), PREDICT, "reading"),
    "a shape of thousands": (within("reading", shape=[10**6, 10**6, 1]), PREDICT, "reading"),
    "a precision that is none": (within("precision", policy="float8"), EXPORT, "precision"),
    "no model": (without("model.keras"), EVALUATE, "model.keras"),
    "a model that is a directory": (directory("model.keras"), EVALUATE, "model.keras"),
    "a model that is a link to nowhere": (nowhere("model.keras"), EVALUATE, "model.keras"),
    "a model without bytes": (holds("model.keras", b""), PREDICT, "model.keras"),
    "a model of garbage": (holds("model.keras", bytes(range(256)) * 40), PREDICT, "model.keras"),
    "a model cut short": (cut("model.keras", 0.5), PREDICT, "model.keras"),
    "a model without its end": (cut("model.keras", 0.99), PREDICT, "model.keras"),
    "a model that is a text": (holds("model.keras", b"hello\n"), PREDICT, "model.keras"),
    "a model that is HDF5": (
        holds("model.keras", b"\x89HDF\r\n\x1a\n" + b"\0" * 99),
        PREDICT,
        "model",
    ),
    "a model that is a pickle": (holds("model.keras", b"\x80\x04N."), PREDICT, "model.keras"),
    "an empty archive": (model({}, keep_own=False), PREDICT, "model.keras"),
    "an archive of something else": (
        model({"a.txt": b"a"}, keep_own=False),
        PREDICT,
        "model.keras",
    ),
    "a member above the archive": (model({"../evil.py": b"x"}), PREDICT, "../evil.py"),
    "a member of the system": (model({"/etc/evil": b"x"}), PREDICT, "/etc/evil"),
    "a member too many": (model({"assets/evil.py": b"x"}), PREDICT, "assets/evil.py"),
    "a member that explodes": (model({"config.json": ZEROS}), PREDICT, "model.keras"),
    "a config of no JSON": (config(lambda _: "{"), PREDICT, "model.keras"),
    "a config of a list": (config(lambda _: "[]"), PREDICT, "model.keras"),
    "a config that is deep": (config(lambda _: "[" * 100_000), PREDICT, "model.keras"),
    "a config of eval": (config(evil), PREDICT, "model.keras"),
    "a config of a Lambda layer": (config(lambda_layer), PREDICT, "model.keras"),
    "a config without weights": (model({"model.weights.h5": b""}), PREDICT, "model.keras"),
    "weights of garbage": (model({"model.weights.h5": b"\x89HDF" * 99}), PREDICT, "model.keras"),
    "no samples": (without("samples.npz"), EXPORT, "samples.npz"),
    "samples that are a directory": (directory("samples.npz"), EXPORT, "samples.npz"),
    "samples without bytes": (holds("samples.npz", b""), EXPORT, "samples.npz"),
    "samples of garbage": (
        holds("samples.npz", b"\x93NUMPY\x01\x00garbage"),
        EXPORT,
        "samples.npz",
    ),
    "samples cut short": (cut("samples.npz", 0.5), EXPORT, "samples.npz"),
    "samples that only pickle can read": (holds("samples.npz", objects()), EXPORT, "samples.npz"),
    "samples that are a pickle": (holds("samples.npz", b"\x80\x04N."), EXPORT, "samples.npz"),
    "samples without answers": (samples(**{"raw/": np.zeros(3)}), EXPORT, "samples.npz"),
    "samples without inputs": (samples(answers=np.zeros((3, 10))), EXPORT, "samples.npz"),
    "samples of another shape": (
        samples(answers=np.zeros((3, 10), "float32"), **{"raw/": np.zeros((3, 4), "uint8")}),
        EXPORT,
        "samples.npz",
    ),
    "samples of other columns": (
        samples(answers=np.zeros((3, 10), "float32"), **{"raw/pixels": np.zeros((3, 8, 8, 1))}),
        EXPORT,
        "samples.npz",
    ),
    "more answers than inputs": (
        samples(answers=np.zeros((9, 10), "float32"), **{"raw/": np.zeros((3, 8, 8, 1), "uint8")}),
        EXPORT,
        "samples.npz",
    ),
    "scores without bytes": (holds("scores.json", b""), "compare", "scores.json"),
    "scores of no JSON": (holds("scores.json", b"{"), "compare", "scores.json"),
    "scores of a list": (holds("scores.json", b"[]"), "compare", "scores.json"),
    "scores without a test": (holds("scores.json", b"{}"), "compare", "scores.json"),
    "scores of words": (
        holds("scores.json", b'{"test": {"loss": "low"}, "intervals": {"loss": [0, 1]}}'),
        "compare",
        "scores.json",
    ),
    "scores without intervals": (
        holds("scores.json", b'{"test": {"loss": 0.1}, "intervals": {}}'),
        "compare",
        "scores.json",
    ),
    "scores that are deep": (holds("scores.json", b"[" * 100_000), "compare", "scores.json"),
    "scores of garbage, exported": (holds("scores.json", b"garbage"), EXPORT, "scores.json"),
    "an export that is a file": (holds("export", b""), EXPORT, "export"),
    "a history of garbage": (holds("history.csv", b"\0garbage\xff"), EVALUATE, "history.csv"),
    "an empty history": (holds("history.csv", b""), EVALUATE, "history.csv"),
    "a history of words": (holds("history.csv", b"epoch,loss\none,two\n"), EVALUATE, "history.csv"),
    "no history": (without("history.csv"), EVALUATE, "history.csv"),
}
COMMANDS = {
    EVALUATE: "mnist evaluate run --trust",
    PREDICT: "mnist predict run picture.png --trust",
    EXPORT: "mnist export run --trust",
    "compare": "compare run run",
}
