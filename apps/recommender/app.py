"""Predict ratings and recommend items to users.

    athanor recommender train --data tfds:movielens/100k-ratings --split random

benchmarks/movielens.py compares it with Surprise, myFM and EASE on the official folds of MovieLens
100K; docs/results.md has the figures.
"""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import App, ModalityName, TaskName
from apps.fields import Address, FieldError, Range, bounded
from apps.fit_data import FitData
from apps.input_file import InputFile

if TYPE_CHECKING:
    from apps.recommender.content import SideContents
    from apps.recommender.factors import Factors, Interactions
    from pipelines.inspection import Inspection
    from pipelines.splits import Splits

MIN_SEQUENCE_BATCH_SIZE, MIN_SEQUENCE_STEPS_PER_EPOCH = 64, 64  # of few pairs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recommender(App):
    """Recommend items to users by their ratings or other interactions.

    Inputs are raw ids. Unknown users get popular items; for unknown items the user's mean
    rating is predicted.
    """

    modality: ClassVar[ModalityName] = "ids"
    tasks: ClassVar[tuple[TaskName, ...]] = ("ranking",)
    metrics: ClassVar[tuple[str, ...]] = ()
    monitor: ClassVar[str] = "val_loss"
    baseline_fields: ClassVar[dict[str, dict[str, str]]] = {
        "user_and_item_means": {"model": "retrieval"}
    }
    default_learning_rate: ClassVar[float] = 0.005
    address_fields: ClassVar[tuple[str, ...]] = ("data", "test", "items", "users")
    column_fields: ClassVar[tuple[str, ...]] = ("user", "item", "rating", "time")
    default_batch_size: ClassVar[int] = 1024
    space: ClassVar[dict[str, tuple | Range]] = {
        "model": ("auto", "svdpp"),
        "factors": (4, 8, 12, 16),  # l2 has no effect on auto, so that trials would be equal
    }

    data: Address = "embedded"
    """Address of the data: embedded, the path of a table, - for standard input, or tfds:NAME."""
    epochs: int = bounded(20, 1)
    """Maximum number of passes over the training pairs; for bayes, of blocks of 20 sweeps of the
    sampler, or 5 of two million ratings or more. The first epoch is the means alone. sequence
    chooses the weights of its models in one more epoch."""
    batch_size: int | None = bounded(None, 1)
    """Pairs in one step of svdpp or sequence, by default 1,024, in sequence fewer of few pairs;
    bayes uses all at once."""
    optimizer: str = "adam"
    """Optimizer of svdpp or sequence: one of Athanor or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak learning rate of svdpp or sequence; by default 0.005 for adam, otherwise the optimizer's
    own default."""
    user: str = ""
    """Column of users; by default user_id or a similar name."""
    item: str = ""
    """Column of items; by default movie_id, item_id or a similar name."""
    rating: str = ""
    """Column of ratings; by default user_rating, rating or a similar name; without one every pair
    is an interaction."""
    time: str = ""
    """Column of times; by default timestamp or a similar name, if there is one."""
    items: Address = ""
    """Address of a table of items, as for --data: their ids in the item column, and what is known
    of them in others. It improves ratings, and recommends items without a rating."""
    users: Address = ""
    """Address of a table of users, likewise."""
    repeats: Literal["last", "mean", "sum"] = "last"
    """Rating of a pair in several rows: that of the last row by time, else by place, or the mean or
    sum of all. Without ratings it has no effect."""
    split: Literal["auto", "time", "user_time", "random", "new_items", "new_users"] = "auto"
    """Test pairs: the newest (time), the newest of each user (user_time), random ones, or all of a
    fifth of the items or users, which training does not see (new_items, new_users). auto is time;
    user_time if most users of the newest pairs are unknown to training; random without times."""
    model: Literal["auto", "bayes", "svdpp", "sequence", "retrieval"] = "auto"
    """bayes: Bayesian matrix factorisation by Gibbs sampling; svdpp: SVD++ by gradient descent;
    retrieval: ranking by a blend of EASE, iALS and singular vectors, ratings by means alone;
    sequence: ranking by the order of the user's last 50 items too (SASRec), ratings by means alone;
    auto: bayes if there are ratings, otherwise retrieval. The others rank items as retrieval
    does."""
    factors: int = bounded(16, 1, 257)
    """Latent factors of each user and item; a quarter of the width of sequence's network."""
    l2: float = bounded(0.1, 0.0)
    """L2 penalty of svdpp on factors and biases."""

    def __post_init__(self) -> None:
        """Check the fields. Raises FieldError for flags that cannot be used together."""
        super().__post_init__()
        if "embedded" in (self.items, self.users):
            raise FieldError("Received embedded for --items or --users; expected a table.")
        if self.split == "new_items" and not self.items:
            raise FieldError(
                "Received --split new_items without --items; expected the address of a table of "
                "items, since new ones are known by their content alone."
            )
        is_ordered = self.split in ("auto", "time", "user_time")
        if self.model == "sequence" and (self.items or self.users or not is_ordered):
            raise FieldError(
                f"Received --model sequence with --split {self.split}, --items {self.items!r} and "
                f"--users {self.users!r}; expected --split time or user_time and no tables: the "
                "model learns from the order of a user's items alone. Leave the others out."
            )

    @classmethod
    def tiny(cls) -> "Recommender":
        """Few factors on the generated ratings."""
        return cls(factors=3, epochs=3)

    def load_splits(
        self, data_dir: Path | None = None, inspection: "Inspection | None" = None
    ) -> "Splits":
        """Features {user, item} of UTF-8 bytes, target float32 ratings."""
        from pipelines import embedded, sources
        from pipelines.ids import reading as ids
        from pipelines.ids.contents import SIDES, read_contents

        tables = sources.tables(
            self.data, embedded.ratings, test=self.test, data_dir=data_dir, inspection=inspection
        )
        columns = self.make_input_decoder()
        read = ids.splits
        if self.model == "sequence":
            from apps.recommender.sequences import ordered_splits as read
        splits = read(tables, columns, self.split, inspection, self.repeats)
        addresses = {side: getattr(self, f"{side}s") for side in SIDES}
        return dataclasses.replace(splits, contents=read_contents(addresses, columns, data_dir))

    def input_files(self, splits: "Splits") -> dict[str, InputFile]:
        """Return the tables of items and users."""
        return {
            f"{side}s": InputFile(getattr(self, f"{side}s"), content.digest(), content.describe())
            for side, content in splits.contents.items()
        }

    def make_input_decoder(self, splits: "Splits | None" = None) -> Any:  # noqa: ARG002
        """Return the names of the columns."""
        from pipelines.ids.reading import Columns

        return Columns(self.user, self.item, self.rating, self.time)

    def make_preprocessing(self, splits: "Splits") -> Any:
        """Return the layer from ids to numbers."""
        from pipelines.ids.preprocessing import Ids

        return Ids.adapted(splits)

    def make_loss(self, splits: "Splits") -> Any:
        """Return the squared error of the ratings; for retrieval, of the scores."""
        from apps.recommender import dot_product

        if self._resolved_model(splits) == "retrieval":
            return dot_product.ScoreError()
        return dot_product.RatingError()

    def make_network(self, splits: "Splits") -> Any:
        """{user, item} of int32 [batch] -> float32 [batch, 2 or 3]: see FactorDotProduct."""
        from apps.recommender import dot_product, factors, list_ranking, sequence_layers
        from apps.recommender.content import ContentRows
        from pipelines.ids.contents import known_ids

        lowest, highest = dot_product.rating_limits(splits.train.targets)
        rating_width = self._rank + factors.NUM_BIAS_COLUMNS
        row_width = rating_width + 2 * list_ranking.SCORE_WIDTH  # scores, and items that are liked
        make_layer: Any = dot_product.FactorDotProduct
        if self.model == "sequence":
            make_layer = functools.partial(sequence_layers.make_layer, num_factors=self.factors)
        layer = make_layer(
            len(known_ids(splits, "user")),
            len(known_ids(splits, "item")),
            rating_width=rating_width,
            score_width=list_ranking.SCORE_WIDTH,
            lowest=lowest,
            highest=highest,
            contents={
                side: ContentRows.adapted(content, row_width)
                for side, content in splits.contents.items()
            },
            has_spread=self._resolved_model(splits) == "bayes",
        )
        return dot_product.make_network(layer)

    def automatic_batch_size(self, count: int) -> int:
        """Return the pairs in one step; of few pairs sequence takes fewer, to make enough steps."""
        if self.model != "sequence":
            return super().automatic_batch_size(count)
        size = max(MIN_SEQUENCE_BATCH_SIZE, count // MIN_SEQUENCE_STEPS_PER_EPOCH)
        return min(self.default_batch_size, size)

    def searchable_fields(self, splits: "Splits") -> set[str]:
        """Return no fields for retrieval, which chooses its blend itself."""
        if self.model == "sequence":
            return {"factors"}
        has_factors = _has_ratings(splits) and self.model != "retrieval"
        return {*self.space} if has_factors else set()

    def is_fitted_at_once(self, splits: "Splits") -> bool:
        """Return whether the tables of lists are all that is computed."""
        return self._resolved_model(splits) == "retrieval"

    def automatic_values(self, splits: "Splits", batch_size: int, steps: int) -> dict[str, Any]:
        """Return the model; if it has steps also batch size and learning rate, as for every app."""
        model = self._resolved_model(splits)
        values = {"model": model} if model != self.model else {}
        if model not in ("svdpp", "sequence"):
            return values
        return values | super().automatic_values(splits, batch_size, steps)

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Compute the model's tables, an epoch at a time; sequence trains a network first."""
        from apps.recommender import sequence_training
        from apps.solving import solve

        options |= {"epochs": range(self.epochs)}
        if self.model == "sequence":
            sequence_training.fit(model, fit_data, seed=self.seed, **options)
        else:
            solve(model, fit_data, self._iterations(model, fit_data), **options)

    def _iterations(self, model: Any, fit_data: FitData) -> Iterator[dict[str, float]]:
        """Assign the ranking tables, then those of the ratings after every epoch."""
        from apps.recommender import dot_product, factors, list_ranking, rating_spread
        from apps.recommender.content import SideContents

        splits, ids = fit_data.splits, fit_data.prepare
        parts = splits.train, splits.valid
        train, validation = (factors.Interactions.of(part, ids) for part in parts)
        layer = dot_product.layer_of(model)
        contents = SideContents.of(splits, layer.contents, train)
        ranking = list_ranking.ranking_tables(train, validation)
        start = layer.rating_width
        layer.set_scores(contents.completed(factors.Tables(ranking.users, ranking.items), start))
        start += layer.score_width
        layer.set_liked(contents.completed_items(ranking.liked, start))
        for current, error in self._factors_per_epoch(model, fit_data, train, contents):
            tables = factors.rating_tables(train, current, self._rank)
            layer.set_ratings(contents.completed(tables, 0))
            if layer.has_spread:
                layer.set_spread(rating_spread.spread_tables(train, current))
            yield {"loss": error}

    def _factors_per_epoch(
        self, model: Any, fit_data: FitData, train: "Interactions", contents: "SideContents"
    ) -> Iterator[tuple["Factors", float]]:
        """Yield the factors after each epoch, and their mean squared error on the training pairs.

        The first epoch has biases alone, so that a run on data without structure keeps these.
        """
        from apps.recommender import bayesian_mf, factors, svdpp
        from pipelines import sharding

        resolved = self._resolved_model(fit_data.splits)
        epochs: Iterator = iter(())
        if resolved == "bayes":
            epochs = bayesian_mf.posterior_means(
                train,
                num_factors=self.factors,
                rank=self._rank,
                seed=self.seed,
                contents=contents.of_trained,
            )
        if resolved == "svdpp":
            # Must precede the first epoch: its checkpoint contains the optimizer's variables.
            epochs = svdpp.train_epochs(
                train,
                iter(sharding.distribute(fit_data.train)),
                fit_data.steps_per_epoch,
                model.optimizer,
                num_factors=self.factors,
                l2=self.l2,
                seed=self.seed,
            )
        yield factors.bias_baseline(train)
        yield from epochs

    @property
    def _rank(self) -> int:
        """Number of columns of the factors that approximate the mean of many samples."""
        return 2 * self.factors + 8

    def _resolved_model(self, splits: "Splits") -> str:
        if self.model != "auto":
            return self.model
        return "bayes" if _has_ratings(splits) else "retrieval"


def _has_ratings(splits: "Splits") -> bool:
    return len(set(splits.train.targets)) > 1
