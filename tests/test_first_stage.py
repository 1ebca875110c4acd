"""The default of `athanor regression` is no worse than its first stage, the linear model."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from apps import Regression
from pipelines.batches import ordered_batches
from training.train import train

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = {
    "titanic": ("titanic/titanic.csv", "survived", "alive"),
    "german": ("german_credit/german_credit.csv", "credit_risk", ""),
    "auto_mpg": ("auto_mpg/auto_mpg.csv", "mpg", ""),
    "fare": ("titanic/titanic.csv", "fare", ""),
    "amount": ("german_credit/german_credit.csv", "amount", ""),
    "churn": ("telco_churn/telco_customer_churn.csv.gz", "Churn", "customerID"),
}


def losses_of(app, splits, network, examples):
    """Return the loss of a network on each raw example."""
    batches = ordered_batches(examples, batch_size=1000, prepare=app.make_preprocessing(splits))
    loss = app.make_loss(splits)
    return np.concatenate([loss.call(y, network(x, training=False)) for x, y in batches])


def network_of(run):
    return next(layer for layer in run.model.layers if layer.name.startswith("functional"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_the_default_is_no_worse_than_the_linear_model(name, tmp_path, monkeypatch):
    """On validation, and on a held-out fifth of the training examples within noise."""
    path, target, drop = SETS[name]
    app = Regression(data=f"csv:{SHARED / path}", target=target, drop=drop)
    whole = app.load_splits()
    some = np.random.default_rng(0).permutation(len(whole.train))[:4000]
    aside, kept = (whole.train.select(np.sort(part)) for part in np.split(some, [len(some) // 5]))
    splits = dataclasses.replace(whole, train=kept, test=aside)
    monkeypatch.setattr(Regression, "load_splits", lambda *_: splits)
    found = {}
    for model in ("tabm", "mlp"):
        one = dataclasses.replace(app, model=model)
        run = train(one, run_dir=tmp_path / model, precision="float32", verbose=0)
        with (run.path / "history.csv").open() as file:
            valid = min(float(row["val_loss"]) for row in csv.DictReader(file))
        found[model] = valid, losses_of(app, splits, network_of(run), aside)
    first = app.make_network(splits)  # whose members add nothing yet
    found["first stage"] = (
        losses_of(app, splits, first, splits.valid).mean(),
        losses_of(app, splits, first, aside),
    )
    print({model: f"{valid:.4f} {unseen.mean():.4f}" for model, (valid, unseen) in found.items()})
    assert found["tabm"][0] <= found["first stage"][0] + 1e-6
    for other in ("first stage", "mlp"):
        worse = found["tabm"][1] - found[other][1]  # of each example that is put aside
        error = worse.std() / np.sqrt(len(worse))
        assert worse.mean() < 0.03 * found[other][1].mean() + 2 * error, other
