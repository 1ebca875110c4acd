"""The outcomes of a verdict, and their titles."""

from typing import Literal

Outcome = Literal["better", "not better", "undecided"]
TITLES: dict[Outcome, str] = {
    "better": "Better than the best baseline",
    "not better": "Not better than the best baseline",
    "undecided": "Undecided",
}
