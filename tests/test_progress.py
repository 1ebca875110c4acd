"""Progress messages of checks, if the output is a pipe."""

from data_checks import progress


def test_progress_prints_a_line_every_five_seconds(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.shown_progress() as tell:
        for seconds in range(12):
            now[0] = 100.0 + seconds
            tell("reading rows.csv, byte", 1000 * seconds, 12_000)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "reading rows.csv, byte 5,000 of 12,000",
        "reading rows.csv, byte 10,000 of 12,000",
    ]
