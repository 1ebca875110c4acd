"""Inputs from outside."""


class UnreadableError(ValueError):
    """An input of the user's that cannot be read as a question of its kind."""

    exit_status = 2
