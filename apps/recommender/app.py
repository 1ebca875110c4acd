"""Recommendations: which rating a user would give, and which items suit him.

    athanor recommender train --data tfds:movielens/100k-ratings --split random

On the five official folds of MovieLens 100K the mean RMSE
was 0.879, beside 0.897 of myFM and 0.921 of Surprise's SVD++ (benchmarks/movielens.py; a
slow test holds the first fold to 0.915).
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import App, ModalityName, TaskName
from apps.fields import Address, Range, bounded
from apps.fit_data import FitData

if TYPE_CHECKING:
    from apps.recommender.factors import Factors, Pairs
    from pipelines.examples import Examples
    from pipelines.splits import Splits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recommender(App):
    """Recommend items to users by their ratings, or by what they met.

    Raw ids in: an unknown user is answered by popularity, an unknown item by
    the user's mean.
    """

    modality: ClassVar[ModalityName] = "ids"
    default_task: ClassVar[TaskName] = "ranking"
    metrics: ClassVar[tuple[str, ...]] = ()
    monitor: ClassVar[str] = "val_loss"
    baseline_fields: ClassVar[dict[str, dict[str, str]]] = {
        "user_and_item_means": {"model": "retrieval"}
    }
    default_learning_rate: ClassVar[float] = 0.005
    column_fields: ClassVar[tuple[str, ...]] = ("user", "item", "rating", "time")
    default_batch_size: ClassVar[int] = 1024
    space: ClassVar[dict[str, tuple | Range]] = {
        "model": ("auto", "svdpp"),
        "factors": (4, 8, 12, 16),  # l2 is of svdpp alone: of auto it would make equal trials
    }

    data: Address = "embedded"
    """Address of the data: embedded, csv:PATH (or the path of the file), or tfds:NAME."""
    epochs: int = bounded(20, 1)
    """Passes over the training pairs, at most; of bayes, blocks of ten sweeps of the sampler.
    The first is the means alone."""
    batch_size: int | None = bounded(None, 1)
    """Pairs in one step of svdpp, by default 1,024; bayes takes all at once."""
    optimizer: str = "adam"
    """Of svdpp: one of ours or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak of the learning rate of svdpp; by default 0.005 of adam, and another optimizer's own
    default."""
    user: str = ""
    """Column of users; by default user_id or a like name."""
    item: str = ""
    """Column of items; by default movie_id, item_id or a like name."""
    rating: str = ""
    """Column of ratings; by default user_rating, rating or a like name, else every pair counts
    as met."""
    time: str = ""
    """Column of times; by default timestamp or a like name, where there is one."""
    split: Literal["auto", "time", "user_time", "random"] = "auto"
    """What is test: the newest pairs (time), the newest of each user (user_time), or random ones.
    auto: time; user_time where most of the newest are of users unknown to training; random
    where no times are known."""
    model: Literal["auto", "bayes", "svdpp", "retrieval"] = "auto"
    """bayes: Bayesian matrix factorisation, by Gibbs sampling; svdpp: SVD++, by gradient
    descent; retrieval: lists of what people of like taste met, ratings by means alone; auto:
    bayes where there are ratings, else retrieval. All rank by what retrieval learns."""
    factors: int = bounded(12, 1, 257)
    """Hidden tastes of a user."""
    l2: float = bounded(0.1, 0.0)
    """L2 penalty of svdpp."""

    @classmethod
    def tiny(cls) -> "Recommender":
        """Few factors on the generated ratings."""
        return cls(factors=3, epochs=3)

    def load_splits(self, data_dir: Path | None = None) -> "Splits":
        """Features {user, item} of UTF-8 bytes, target float32 ratings."""
        from pipelines import embedded, sources
        from pipelines.ids import reading as ids

        tables = sources.tables(
            self.data, embedded=embedded.ratings, test=self.test, data_dir=data_dir
        )
        return ids.splits(tables, self.make_input_decoder(), self.split)

    def make_input_decoder(self, splits: "Splits | None" = None) -> Any:  # noqa: ARG002
        """The names of the columns."""
        from pipelines.ids.reading import Columns

        return Columns(self.user, self.item, self.rating, self.time)

    def make_preprocessing(self, splits: "Splits") -> Any:
        """Ids to numbers."""
        from pipelines.ids.preprocessing import Ids

        return Ids.adapted(splits)

    def make_loss(self, splits: "Splits") -> Any:
        """Squared error of the ratings, or of the scores where there are none."""
        from apps.recommender import dot_product

        retrieves = self._chosen(splits) == "retrieval"
        return dot_product.ScoreError() if retrieves else dot_product.RatingError()

    def make_network(self, splits: "Splits") -> Any:
        """{user, item} of int32 [batch] -> float32 [batch, 2]: rating, score."""
        from apps.recommender import dot_product, factors
        from pipelines.ids.reading import vocabulary

        known = splits.train.numpy().features
        lowest, highest = dot_product.limits(splits.train.targets)
        layer = dot_product.Products(
            len(vocabulary(known["user"])),
            len(vocabulary(known["item"])),
            width=self._rank + factors.EXTRA,
            ranks=factors.TASTES[-1] + 1,
            lowest=lowest,
            highest=highest,
        )
        return dot_product.network(layer)

    def searchable_fields(self, splits: "Splits") -> set[str]:
        """None without ratings: retrieval finds the number of its tastes itself."""
        return {*self.space} if _rated(splits) and self.model != "retrieval" else set()

    def automatic_values(self, splits: "Splits", batch_size: int, steps: int) -> dict[str, Any]:
        """The model; of svdpp also batch size and learning rate, as of every app."""
        model = self._chosen(splits)
        taken = {"model": model} if model != self.model else {}
        if model != "svdpp":
            return taken
        return taken | super().automatic_values(splits, batch_size, steps)

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Let the solver of the model write its tables, an epoch at a time."""
        from apps.solving import solve

        solve(model, fit_data, self._sweeps(model, fit_data), epochs=self.epochs, **options)

    def _sweeps(self, model: Any, fit_data: FitData) -> Iterator[dict[str, float]]:
        from apps.recommender import dot_product, factors

        pairs, held = (
            _pairs(part, fit_data.prepare)
            for part in (fit_data.splits.train, fit_data.splits.valid)
        )
        layer = dot_product.of(model)
        layer.set_scores(factors.ranking_rows(pairs, held))
        for found, error in self._solutions(model, fit_data, pairs):
            layer.set_ratings(factors.rating_rows(pairs, found, self._rank))
            yield {"loss": error}

    def _solutions(
        self, model: Any, fit_data: FitData, pairs: "Pairs"
    ) -> Iterator[tuple["Factors", float]]:
        """Factors of ratings and their error on the training pairs; the first are means alone.

        So a run whose data bear no factors keeps the means.
        """
        from apps.recommender import bayesian_mf, factors, svdpp
        from pipelines import sharding

        chosen = self._chosen(fit_data.splits)
        learnt: Iterator = iter(())
        if chosen == "bayes":
            learnt = bayesian_mf.posterior_means(
                pairs, num_factors=self.factors, rank=self._rank, seed=self.seed
            )
        if chosen == "svdpp":
            learnt = svdpp.epochs(
                pairs,
                iter(sharding.distribute(fit_data.train)),
                fit_data.steps_per_epoch,
                model.optimizer,
                num_factors=self.factors,
                l2=self.l2,
                seed=self.seed,
            )
        yield factors.usual(pairs)
        yield from learnt

    @property
    def _rank(self) -> int:
        """Columns in which the mean of many draws is kept."""
        return 2 * self.factors + 8

    def _chosen(self, splits: "Splits") -> str:
        if self.model != "auto":
            return self.model
        return "bayes" if _rated(splits) else "retrieval"


def _rated(splits: "Splits") -> bool:
    return len(set(splits.train.targets)) > 1


def _pairs(examples: "Examples", ids: Any) -> "Pairs":
    """The pairs of known users and items, in numbers from 0."""
    from apps.recommender.factors import Pairs

    features, ratings = examples.numpy()
    users, items = (ids(features)[name].numpy() - 1 for name in ("user", "item"))
    known = (users >= 0) & (items >= 0)
    return Pairs(users[known], items[known], ratings[known], len(ids.users), len(ids.items))
