"""Write simulated ratings in the form of MovieLens 20M.

    python benchmarks/recipes/large_ratings.py 20_000_000 ratings.csv
    python benchmarks/recipes/large_ratings.py 10_000_000 ratings.csv --items 1_000_000

Users rate popular items and items that they like more often. A rating is a mean, biases, the dot
product of eight latent factors and noise, rounded to half stars from 0.5 to 5. 20,000,000 ratings
have about 138,000 users and 27,000 items, as MovieLens 20M has.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

NUM_RATINGS, NUM_USERS, NUM_ITEMS = 20_000_263, 138_493, 26_744  # of MovieLens 20M
NUM_FACTORS, NOISE = 8, 0.8
MIN_RATINGS = 20  # of a user
CANDIDATES = 3  # pairs drawn by popularity for each rating
USERS_PER_BLOCK = 5_000
SCHEMA = pa.schema(
    {"userId": pa.int32(), "movieId": pa.int32(), "rating": pa.float32(), "timestamp": pa.int64()}
)
FIRST_TIME, LAST_TIME = 789_652_009, 1_427_784_002  # seconds since 1970


def write(path: Path, count: int, num_items: int | None = None) -> None:
    """Write about `count` ratings of users, and by default of items, in proportion."""
    random = np.random.default_rng(0)
    share = count / NUM_RATINGS
    num_users = round(NUM_USERS * share)
    num_items = num_items or round(NUM_ITEMS * min(1.0, share**0.5))
    popularity = (1 + np.arange(num_items)) ** -0.9
    cumulated = np.cumsum(popularity / popularity.sum())
    traits = random.normal(0, 0.35, (num_items, NUM_FACTORS)).astype("float32")
    item_biases = random.normal(0, 0.4, num_items).astype("float32")
    with csv.CSVWriter(path, SCHEMA, write_options=csv.WriteOptions(quoting_style="none")) as out:
        for first in range(0, num_users, USERS_PER_BLOCK):
            size = min(USERS_PER_BLOCK, num_users - first)
            tastes = random.normal(0, 1, (size, NUM_FACTORS)).astype("float32")
            users, items = _pairs(random, tastes, traits, cumulated)
            liked = np.einsum("nk,nk->n", tastes[users], traits[items]) + item_biases[items]
            liked += random.normal(0, 0.4, size)[users] + random.normal(0, NOISE, len(users))
            stars = np.clip(np.round(2 * (3.5 + liked)) / 2, 0.5, 5).astype("float32")
            times = random.integers(FIRST_TIME, LAST_TIME, len(users))
            columns = (users + first + 1, items + 1, stars, times)
            arrays = [pa.array(x, field.type) for x, field in zip(columns, SCHEMA, strict=True)]
            out.write_batch(pa.record_batch(arrays, schema=SCHEMA))


def _pairs(
    random: np.random.Generator, tastes: np.ndarray, traits: np.ndarray, cumulated: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw distinct pairs of users from 0 and items: those liked most of pairs by popularity."""
    mean = NUM_RATINGS / NUM_USERS - MIN_RATINGS
    counts = MIN_RATINGS + (mean / np.exp(0.5) * random.lognormal(0, 1, len(tastes))).astype(int)
    users = np.repeat(np.arange(len(tastes)), CANDIDATES * counts)
    items = np.searchsorted(cumulated, random.random(len(users))).clip(max=len(traits) - 1)
    users, items = np.divmod(np.unique(users * len(traits) + items), len(traits))
    appeal = np.einsum("nk,nk->n", tastes[users], traits[items]) + random.gumbel(size=len(users))
    order = np.lexsort((-appeal, users))
    users, items = users[order], items[order]
    starts = np.searchsorted(users, np.arange(len(tastes)))
    kept = np.arange(len(users)) - starts[users] < counts[users]
    return users[kept], items[kept]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="About the number of ratings.")
    parser.add_argument("path", type=Path, help="CSV file to write.")
    parser.add_argument("--items", type=int, help="Number of items; by default in proportion.")
    options = parser.parse_args()
    write(options.path, options.count, options.items)


if __name__ == "__main__":
    main()
