"""Errors that end a training."""


class DivergedError(RuntimeError):
    """Raised if the loss is not finite or far too large.

    Attributes:
        lower_rate_may_help: Whether a smaller learning rate may help.

    """

    exit_status = 1

    def __init__(self, message: str, *, lower_rate_may_help: bool = True) -> None:
        super().__init__(message)
        self.lower_rate_may_help = lower_rate_may_help


class DiskFullError(OSError):
    """Raised if the disk is too full for the files of a training."""

    exit_status = 1
