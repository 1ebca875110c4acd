"""Cells as people write them, with the value that a person reads."""

import numpy as np
import pytest

from pipelines.labels import find_labels
from pipelines.rows.column_kinds import parse_texts
from pipelines.tables import cell_formats
from pipelines.tables.booleans import PAIRS
from pipelines.tables.cells import Cells
from pipelines.tables.durations import parse_clock, parse_duration
from pipelines.tables.format_inference import infer_format
from pipelines.tables.kind_requests import KindRequest
from pipelines.tables.numerals import parse_numeral
from pipelines.tables.times import parse_time
from pipelines.tables.units import UNITS, convert

HOUR, DAY = 3600, 86_400

NUMBERS = [
    # percents and other shares
    ("12%", 12, "%"), ("12 %", 12, "%"), ("1,5 %", 1.5, "%"), ("-0.5%", -0.5, "%"),
    ("(1.5%)", -1.5, "%"), ("+3 %", 3, "%"), ("100 %", 100, "%"), ("12\u00a0%", 12, "%"),
    ("12\uff05", 12, "%"), ("5 \u2030", 5, "\u2030"), ("12 percent", 12, "percent"),
    ("12 pct.", 12, "pct"), ("25 bps", 25, "bp"), ("<5 %", 5, "%"),
    # thousands and more, as words
    ("1 Tsd.", 1000, ""), ("3 Tausend", 3000, ""), ("2 Mio", 2e6, ""), ("2,5 Mio.", 2.5e6, ""),
    ("1.2k", 1200, ""), ("1.2 K", 1200, ""), ("3M", 3e6, ""), ("2 bn", 2e9, ""),
    ("2.5B", 2.5e9, ""), ("5 Mrd", 5e9, ""), ("5 Mrd.", 5e9, ""), ("1.1 million", 1.1e6, ""),
    ("4 Millionen", 4e6, ""), ("1 billion", 1e9, ""), ("2 trillion", 2e12, ""),
    ("3 lakh", 3e5, ""), ("1.5 crore", 1.5e7, ""), ("2 Cr", 2e7, ""), ("3\u4e07", 3e4, ""),
    ("1.2\u5104", 1.2e8, ""), ("5\u5343", 5000, ""), ("10k+", 10_000, ""), ("~1.5k", 1500, ""),
    ("2 milliards", 2e9, ""), ("7 mln", 7e6, ""), ("12 thousand", 12_000, ""),
    ("1 234k", 1.234e6, ""),
    # currencies
    ("$5", 5, "$"), ("$1,234.50", 1234.5, "$"), ("1.234,50 \u20ac", 1234.5, "\u20ac"),
    ("\u20ac 5", 5, "\u20ac"), ("\u00a35.99", 5.99, "\u00a3"), ("\u00a51000", 1000, "\u00a5"),
    ("USD 5", 5, "usd"), ("5 USD", 5, "usd"), ("CHF 1'234.-", 1234, "chf"),
    ("R$ 10,50", 10.5, "r$"), ("150 kr", 150, "kr"), ("150 kr.", 150, "kr"), ("99:-", 99, ""),
    ("12 z\u0142", 12, "z\u0142"), ("\u20b92,50,000", 250_000, "\u20b9"), ("Rs. 500/-", 500, "rs"),
    ("US$5", 5, "us$"), ("5 US$", 5, "us$"), ("-$5", -5, "$"), ("$-5", -5, "$"), ("($5)", -5, "$"),
    ("($1,234.50)", -1234.5, "$"), ("$1.2M", 1.2e6, "$"), ("$3m", 3e6, "$"),
    ("\u20ac3.5bn", 3.5e9, "\u20ac"), ("5 Mio \u20ac", 5e6, "\u20ac"), ("5 Mio. EUR", 5e6, "eur"),
    ("2 m\u20ac", 2e6, "\u20ac"), ("10 T\u20ac", 10_000, "\u20ac"), ("10 TEUR", 10_000, "eur"),
    ("USD 2.5k", 2500, "usd"), ("3\u4e07\u5186", 3e4, "\u5186"), ("12 $/kg", 12, "$/kg"),
    ("\u20bd 100", 100, "\u20bd"),
    # units
    ("72.3kg", 72.3, "kg"), ("72,3 kg", 72.3, "kg"), ("5 lbs", 5, "lb"), ("1,200 km", 1200, "km"),
    ("6 ft", 6, "ft"), ("12 in.", 12, "in"), ("12\"", 12, "\""), ("50 mph", 50, "mph"),
    ("20 \u00b0C", 20, "\u00b0c"), ("20\u2103", 20, "\u00b0c"), ("68\u00b0F", 68, "\u00b0f"),
    ("-5 \u00b0C", -5, "\u00b0c"), ("50 m\u00b2", 50, "m2"), ("1,000 sq ft", 1000, "sqft"),
    ("2.5 hours", 2.5, "hour"), ("90 min", 90, "min"), ("5 GB", 5, "gb"), ("250 ml", 250, "ml"),
    ("10 m/s", 10, "m/s"), ("3 people", 3, "people"), ("1.5 million people", 1.5e6, "people"),
    # other ways
    ("2\u00bd", 2.5, ""), ("\u00bc", 0.25, ""), ("3 \u00be cups", 3.75, "cup"),
    ("1.5e-3 g", 0.0015, "g"), ("1.234.567,8", 1234567.8, ""), ("1,234,567.8", 1234567.8, ""),
    ("12\u2009345", 12345, ""), ("\u22123.5", -3.5, ""), ("3.5-", -3.5, ""),
    ("\u0663\u0664", 34, ""), ("\uff13\uff0e\uff15", 3.5, ""), ("12\u202f345,67", 12345.67, ""),
    (" 7 ", 7, ""), (">100", 100, ""), ("\u2265 5", 5, ""), ("ca. 30", 30, ""),
    ("12.5*", 12.5, ""),
]  # fmt: skip

DURATIONS = [
    ("1:23:45", 5025), ("12:30", 750), ("95:20", 5720), ("0:59", 59), ("4:35.5", 275.5),
    ("1:02:03,5", 3723.5), ("123:45:06", 123 * HOUR + 45 * 60 + 6), ("-1:00:00", -HOUR),
    ("1h 20m", 4800), ("1 h 20 min", 4800), ("1h20", 4800), ("1h20m30s", 4830), ("2h", 2 * HOUR),
    ("2 hours and 5 minutes", 7500), ("2 hours, 5 minutes", 7500), ("1.5 h", 5400), ("1,5 h", 5400),
    ("90 min", 5400), ("45 s", 45), ("45sec", 45), ("250 ms", 0.25), ("3 days", 3 * DAY),
    ("3 days 04:05:06", 3 * DAY + 4 * HOUR + 306), ("1 day, 2:03:04", DAY + 2 * HOUR + 184),
    ("0 days 00:00:01.500000", 1.5), ("-1 days +23:00:00", -HOUR), ("-1 day, 23:00:00", -HOUR),
    ("-1 days 01:00:00", -25 * HOUR), ("2d 3h", 2 * DAY + 3 * HOUR),
    ("P1DT2H", DAY + 2 * HOUR), ("PT45M", 2700), ("PT1H30M", 5400), ("P2W", 14 * DAY),
    ("PT0.5S", 0.5), ("-PT5M", -300), ("P1Y", 31_556_952), ("2 weeks", 14 * DAY),
    ("1w 2d", 9 * DAY),
    ("2 Std. 30 Min.", 9000), ("3 Tage", 3 * DAY), ("2 heures 5 minutes", 7500), ("5 \u5206", 300),
    ("1 \u5c0f\u65f6 30 \u5206\u949f", 5400), ("2 jours 3 heures", 2 * DAY + 3 * HOUR),
    ("1 year 2 months", 31_556_952 + 2 * 2_629_746), ("90 Minuten", 5400), ("1.05:30:00", 106_200),
]  # fmt: skip

CLOCKS = [
    ("14:30", 14.5), ("2 pm", 14), ("2pm", 14), ("2:30 PM", 14.5), ("12 am", 0),
    ("12:15 a.m.", 0.25), ("12 noon", None), ("09:05", 9 + 5 / 60),
    ("9:05:30", 9 + 5 / 60 + 30 / 3600), ("00:00", 0), ("24:00", 0),
    ("14:30:00.5", 14.5 + 0.5 / 3600), ("14 Uhr", 14), ("14.30 Uhr", 14.5), ("14:30 Uhr", 14.5),
    ("14h30", 14.5), ("9h", 9), ("9 h 05", 9 + 5 / 60),
    ("\u4e0b\u53483:05", 15 + 5 / 60), ("25:00", None), ("13 pm", None), ("12:60", None),
]  # fmt: skip

NO_DURATIONS = [
    "", "soon", "1:2", "5'11\"x", "P", "PT", "2019-03-01", "12", "h", "3 m 4 h", "1:99", "5 kg",
]  # fmt: skip


def cells(texts):
    return Cells.of(map(str.encode, texts))


def read(texts, request=None):
    """Return the kind of a column, its format, and its values."""
    column = cells(texts)
    form = infer_format(column, request).form
    if form.is_text:
        return form.kind, form, parse_texts(column, form).cells().tolist()
    return form.kind, form, cell_formats.parse_numbers(column, form).tolist()


def test_there_are_many_cells():
    assert len(NUMBERS) + len(DURATIONS) + len(CLOCKS) >= 150


@pytest.mark.parametrize(("text", "value", "unit"), NUMBERS)
def test_numbers(text, value, unit):
    found = parse_numeral(text)
    assert found is not None
    assert (found.value("."), found.unit) == (pytest.approx(value, rel=1e-12), unit)


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_durations(text, seconds):
    found = parse_duration(text)
    assert found is not None and found.seconds == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(("text", "hours"), CLOCKS)
def test_times_of_day(text, hours):
    assert parse_clock(text) == (hours if hours is None else pytest.approx(hours))


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_other_texts_are_no_durations(text):
    assert parse_duration(text) is None


COLUMNS = {
    "percents beside fractions": (
        ["1%", "3 %", "12%", "0.02", "0,05", "0.005", "7 %"] * 4,
        "number",
        [1, 3, 12, 2, 5, 0.5, 7] * 4,
    ),
    "percents without a sign": (
        ["12%", "5 %", "7", "8", "1.5"] * 4,
        "number",
        [12, 5, 7, 8, 1.5] * 4,
    ),
    "per mille among percents": (["1 %", "2%", "3%", "5 \u2030"] * 4, "number", [1, 2, 3, 0.5] * 4),
    "multiples": (["900", "1.2k", "3M", "2 Tsd."] * 4, "number", [900, 1200, 3e6, 2000] * 4),
    "metres": (["72 m", "80 m", "3", "5 m"] * 4, "number", [72, 80, 3, 5] * 4),
    "lengths": (["1 km", "2 km", "500 m", "1 mi"] * 4, "number", [1, 2, 0.5, 1.609344] * 4),
    "masses": (["70 kg", "80kg", "154 lbs", "500 g"] * 4, "number", [70, 80, 69.85322498, 0.5] * 4),
    "temperatures": (
        ["20 \u00b0C", "25\u00b0C", "68\u00b0F", "30 C"] * 4,
        "number",
        [20, 25, 20, 30] * 4,
    ),
    "hours": (["2 h", "30 min", "1 h", "90 sec"] * 4, "number", [2, 0.5, 1, 0.025] * 4),
    "one currency in several words": (["$5", "6 USD", "US$7", "8"] * 4, "number", [5, 6, 7, 8] * 4),
    "money": (["$1.2M", "$900k", "$5"] * 4, "number", [1.2e6, 9e5, 5] * 4),
    "prices in euros": (["1.234 €", "2.500 €", "999 €"] * 4, "number", [1234, 2500, 999] * 4),
    "prices in dollars": (["$3.459", "$3.519"] * 4, "number", [3.459, 3.519] * 4),
    "heights": (["5'11\"", "6 ft", "5 ft 6 in"] * 4, "number", [5 + 11 / 12, 6, 5.5] * 4),
    "weights of babies": (["7 lb 8 oz", "8 lbs", "6lb 4oz"] * 4, "number", [7.5, 8, 6.25] * 4),
    "times in France": (["14h30", "9h15", "18h"] * 4, "clock", [14.5, 9.25, 18] * 4),
    "durations in France": (["1h20", "0h45", "2h"] * 4, "duration", [4800, 2700, 7200] * 4),
    "durations": (["1:23:45", "0:59:10", "2:00:00"] * 4, "duration", [5025, 3550, 7200] * 4),
    "long durations": (["12:30", "95:20", "4:05"] * 4, "duration", [750, 5720, 245] * 4),
    "minutes, then hours": (["59:59", "1:02:03", "7:00"] * 4, "duration", [3599, 3723, 420] * 4),
    "durations in words": (["1h 20m", "45 min", "2 h"] * 4, "duration", [4800, 2700, 7200] * 4),
    "timedeltas": (["0 days 01:00:00", "3 days 04:05:06"] * 4, "duration", [3600, 273_906] * 4),
    "durations of ISO 8601": (["P1DT2H", "PT45M", "PT10S"] * 4, "duration", [93_600, 2700, 10] * 4),
    "times of day": (["14:30", "09:05", "2 pm"] * 4, "clock", [14.5, 9 + 5 / 60, 14] * 4),
    "times of a spreadsheet": (["9:05:00", "14:30:00"] * 4, "clock", [9 + 5 / 60, 14.5] * 4),
    "short times": (["12:30", "8:15", "7:00"] * 4, "clock", [12.5, 8.25, 7] * 4),
}


@pytest.mark.parametrize(("texts", "kind", "values"), COLUMNS.values(), ids=COLUMNS)
def test_columns(texts, kind, values):
    found, form, numbers = read(texts)
    assert found == kind
    assert numbers == pytest.approx(values, rel=1e-12)
    again = cells([cell_formats.format_number(number, form) for number in numbers])
    assert cell_formats.parse_numbers(again, form).tolist() == pytest.approx(numbers, rel=1e-9)


@pytest.mark.parametrize(
    "texts",
    [["$5", "6 \u20ac", "7 \u00a3"], ["5 kg", "3 m", "2 h"], ["12%", "5 kg"], ["5 kr", "6 \u20ac"]],
    ids=" ".join,
)
def test_a_column_of_other_units_is_no_column_of_numbers(texts):
    assert read(texts * 10)[0] == "category"


def test_a_rare_other_currency_counts_as_missing():
    kind, _, numbers = read([*["$5", "$7", "$9"] * 10, "6 \u20ac"])
    assert kind == "number" and np.isnan(numbers[-1]) and not np.isnan(numbers[:-1]).any()


def test_the_meaning_of_an_ambiguous_cell_is_said():
    said = infer_format(cells(["12:30", "95:20"] * 4)).explanation
    assert said == "'12:30' read as 750 seconds (minutes and seconds)"
    assert infer_format(cells(["12:30", "8:20"] * 4)).explanation == "'12:30' read as 12:30"
    assert "0.02 is 2 %" in infer_format(cells(["1%", "5%", "0.02"] * 4)).explanation
    hours = KindRequest("duration", unit="hours")
    assert read(["12:30", "8:20"] * 4, hours)[2][:2] == [45_000, 30_000]
    assert read(["12:30", "8:20"] * 4, KindRequest("duration"))[2][:2] == [750, 500]
    assert read(["12:30", "8:20"] * 4, KindRequest("time"))[0] == "clock"


@pytest.mark.parametrize(("no", "yes"), [pair for pair in PAIRS if not pair[0][0].isdigit()])
def test_booleans_in_any_words(no, yes):
    texts = [no, yes, yes.upper(), no.title(), "", "NA", no, no]
    kind, _, found = read(texts)
    assert kind == "boolean"
    assert found == [word.encode() for word in (no, yes, yes, no, "", "", no, no)] or (
        len({*found} - {b""}) == 2 and found[0] == found[3] and found[1] == found[2]
    )


def test_words_of_one_truth_are_one_value():
    kind, form, found = read(["yes", "Yes", "YES", "y", "no", "N", "0", "1", "true", "", "yes"])
    assert (kind, form.false, form.true) == ("boolean", "N", "yes")
    assert found == [*[b"yes"] * 4, *[b"N"] * 3, b"yes", b"yes", b"", b"yes"]
    assert cell_formats.parse_boolean(b"OFF", form) == b"N"
    assert cell_formats.parse_boolean(b"maybe", form) == b"maybe"


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["0", "1"], "number"), (["yes", "no", "maybe"], "category"), (["yes", "Yes"], "category"),
        (["yes", "no", "2"], "category"), (["M", "F"], "category"),
        (["yes", "no", "none"], "category"),
        (["t", "f", "?"], "boolean"), (["Yes", "No", "No phone service"], "category"),
    ],
)  # fmt: skip
def test_other_columns_are_no_booleans(texts, kind):
    assert read(texts * 5)[0] == kind


def test_labels_of_one_truth_are_one_class():
    found = find_labels([cells(["yes", "Y", "no", "1", "0", "no", "YES"] * 3)])
    assert found.names == ("0", "1")
    assert found.numbers(cells(["yes", "Y", "no"])).tolist() == [1, 1, 0]
    assert find_labels([cells(["yes", "no", "yes"])]).names == ("no", "yes")


def test_every_unit_converts_to_itself():
    for unit in UNITS:
        assert convert(3.0, unit, unit) == 3
    assert convert(100.0, "c", "f") == 212 and convert(1.0, "mi", "km") == 1.609344
    assert np.isnan(convert(1.0, "kg", "m"))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Q1 2020", "2020-01-01"), ("2020-Q3", "2020-07-01"), ("2020Q4", "2020-10-01"),
        ("2020-W05", "2020-01-27"), ("2020-W01-3", "2020-01-01"), ("2020. 1. 5.", "2020-01-05"),
        ("2020\ub144 1\uc6d4 5\uc77c", "2020-01-05"), ("3rd of March 2020", "2020-03-03"),
    ],
)  # fmt: skip
def test_other_dates(text, day):
    assert cell_formats.format_time(parse_time(text).days("")) == day


@pytest.mark.parametrize("text", ["2020-W60", "Q5 2020", "Q1"])
def test_no_dates(text):
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("texts", "form", "days"),
    [
        (["1553142600", "1553146200"], "seconds", [17976.1875, 17976.1875 + 1 / 24]),
        (["1553142600000", "1553146200000"], "milliseconds", [17976.1875, 17976.1875 + 1 / 24]),
        (["20190321", "20190401", "20190230"], "yyyymmdd", [17976, 17987, np.nan]),
        (["43545", "43545.5"], "spreadsheet", [17976, 17976.5]),
    ],
)
def test_numbers_are_dates_if_the_user_says_so(texts, form, days):
    assert read(texts * 4)[0] == "number"
    kind, found, numbers = read(texts * 4, KindRequest("time"))
    assert (kind, found.unit) == ("time", form)
    assert numbers[: len(days)] == pytest.approx(days, nan_ok=True)
    assert cell_formats.parse_cell(texts[0].encode(), found) == pytest.approx(days[0])
    typed = np.array([float(text) for text in texts])
    of_typed = infer_format(typed, KindRequest("time")).form
    assert cell_formats.parse_numbers(typed, of_typed) == pytest.approx(days, nan_ok=True)
    again = cells([cell_formats.format_number(days[0], found)])
    assert cell_formats.parse_numbers(again, found) == pytest.approx(days[:1])


@pytest.mark.parametrize(
    ("cell", "day"),
    [("2019-03-21 04:30", 17976.1875), ("21 March 2019", 17976), ("03/21/2019", 17976),
     ("03/04/2019", np.nan), ("NA", np.nan), ("soon", np.nan), ("1553142600000", np.nan)],
)  # fmt: skip
def test_a_column_of_seconds_since_1970_reads_written_dates_too(cell, day):
    form = cell_formats.CellFormat("time", unit="seconds")
    expected = pytest.approx([day, 17976.1875], nan_ok=True)
    assert cell_formats.parse_numbers(cells([cell, "1553142600"]), form) == expected
    assert cell_formats.parse_cell(cell.encode(), form) == pytest.approx(day, nan_ok=True)
