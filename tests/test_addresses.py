"""The error for a wrong data address names the nearest file, or what a folder must hold."""

import pytest

from pipelines.addresses import parse_address
from pipelines.examples import AddressError


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("house.csv", r"no existing file or folder; .* Did you mean 'houses\.csv'\?$"),
        ("mails/maisl.csv", r"Did you mean 'mails/mails\.csv'\?$"),
        ("mail", r"'mail', which names no existing file or folder; .* Did you mean 'mails'\?$"),
        ("embeded", r"Did you mean 'embedded'\?$"),
        ("tfds", r"Did you mean 'tfds:NAME'\?$"),
        ("nodir", r"'nodir', which names no existing file or folder; .* 'csv:PATH'\.$"),
        ("other.csv", r"'csv:PATH'\.$"),
        ("nowhere/houses.csv", r"'csv:PATH'\.$"),
        ("mails", r", a folder; .* holds files of one kind, such as \.csv or \.parquet\.$"),
        ("mails/", r", a folder; .* holds files of one kind, such as \.csv or \.parquet\.$"),
        ("mails/*.png", r", a pattern that no file matches, .* 'csv:PATH'\.$"),
        ("lost.csv", r"names no existing file or folder; .* 'csv:PATH'\.$"),
        ("gone.csv", r"names no existing file or folder; .* 'csv:PATH'\.$"),
    ],
)
def test_an_unusable_data_path_names_a_usable_one(address, said, elsewhere):
    (elsewhere / "houses.csv").touch()
    (elsewhere / "lost.csv").symlink_to("nowhere.csv")
    (elsewhere / "mails").mkdir()
    (elsewhere / "mails/mails.csv").touch()
    (elsewhere / "mails/mails.parquet").touch()
    with pytest.raises(AddressError, match=said):
        parse_address(address, ("embedded", "tfds", "csv"))
