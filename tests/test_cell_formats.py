"""Cell formats: numbers, times and missing-value codes, column by column."""

import numpy as np
import pytest
import tensorflow as tf

from pipelines.examples import DataError
from pipelines.labels import find_labels
from pipelines.rows import reading as rows
from pipelines.rows.packing import unpack_columns
from pipelines.rows.preprocessing import PrepareColumns
from pipelines.splits import split_source
from pipelines.tables import cell_formats, csv_files, format_inference
from pipelines.tables.cells import Cells
from pipelines.tables.numerals import parse_numeral
from pipelines.tables.table import Tables
from pipelines.tables.timelines import parse_timeline
from pipelines.tables.times import parse_time

NUMBERS = [str(7 * k) for k in range(40)]


def cells(texts):
    return Cells.of(map(str.encode, texts))


def read(texts):
    """Return the type of a column, and its cells as numbers."""
    column = cells(texts)
    form = format_inference.infer_format(column).form
    return form.kind, None if form.kind == "category" else cell_formats.parse_numbers(column, form)


def source(tmp_path, text, name="file.csv", **options):
    path = tmp_path / name
    path.write_text(text)
    return rows.source(csv_files.read(str(path)), **options)


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("1,234", 1234, ""), ("$1,234.50", 1234.5, "$"), ("12 %", 12, "%"), ("(5)", -5, ""),
        ("1 234", 1234, ""), ("1\u00a0234", 1234, ""), ("1\u202f234", 1234, ""),
        ("72.3 kg", 72.3, "kg"), ("5 EUR", 5, "eur"), ("EUR 5", 5, "eur"), ("5\u20ac", 5, "\u20ac"),
        ("\u22125", -5, ""), ("-$5", -5, "$"), ("($1,234)", -1234, "$"), ("1'234.5", 1234.5, ""),
        ("1.234,50", 1234.5, ""), ("5,-", 5, ""), ("5,-- \u20ac", 5, "\u20ac"),
        ("1.234,\u2013", 1234, ""), ("'5.5", 5.5, ""), ('="12"', 12, ""),
        ("12*", 12, ""), ("12 [a]", 12, ""), ("ca. 12", 12, ""),
        ("1,23,456.78", 123456.78, ""), ("60 km/h", 60, "km/h"), ("3 years", 3, "year"),
        ("1e5", 1e5, ""), ("90+", 90, ""), ("<0.5", 0.5, ""), ("5-", -5, ""), ("+5", 5, ""),
        ("CHF 1'234.50", 1234.5, "chf"), ("\uff11\uff12", 12, ""),
    ],
)  # fmt: skip
def test_numbers_are_parsed_in_every_form(text, value, unit):
    found = parse_numeral(text)
    assert (found.value("."), found.unit) == (value, unit)


@pytest.mark.parametrize(
    "text",
    ["10_1", "10-20", "2019-01-01", "1.2.3", "n0", "", "-", "kg", "1,2,3", "--5", "5 6"],
)
def test_other_texts_are_not_numbers(text):
    assert parse_numeral(text) is None


@pytest.mark.parametrize(
    "word",
    ["None", "-", "#N/A", "inf", "NULL", "n/a", "?", "--", ".", "nil", "#VALUE!", "-inf", "NaN",
     "\\N", "<NA>", "#DIV/0!", "Infinity", "", "unknown", "(null)", "N.A."],
)  # fmt: skip
def test_missing_words_leave_a_column_of_numbers(word):
    kind, found = read(NUMBERS + [word] * 30)
    assert kind == "number"
    assert np.isnan(found[40:]).all()
    assert found[:40].tolist() == [7.0 * k for k in range(40)]


def test_every_missing_word_is_counted_in_a_number_column(tmp_path):
    words = [["None", "-", "#N/A", "inf"][k % 4] if k % 5 == 0 else str(k) for k in range(160)]
    lines = "\n".join(f"{w},{k}" for k, w in enumerate(words))
    found = source(tmp_path, f"size,price\n{lines}\n", target="price")
    assert "columns size: number, 32 missing" in found.notes


def test_none_is_a_category_and_missing_among_numbers():
    column = cells(["None", "Gravel"] * 20)
    assert format_inference.infer_format(column).form.kind == "category"
    found = format_inference.infer_format(cells(["None", "3"] * 20))
    assert found.form.kind == "number"


def test_a_number_column_may_hold_few_words_but_not_many():
    ages = [str(k % 70) for k in range(90)]
    assert read(ages + ["adult", "child", "n/s"] * 13)[0] == "number"
    assert read(["12", "12A", "14", "14B", "15C"] * 20)[0] == "category"
    assert read(["<=50K", ">50K"] * 20)[0] == "category"
    assert read([f"{k} kg" for k in range(20)] + [f"{k} m" for k in range(20)])[0] == "category"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["3.192,50", "1.234", "987"], [3192.5, 1234, 987]),
        (["3,192.50", "1,234", "987"], [3192.5, 1234, 987]),
        (["1.234.567", "1.234", "987"], [1234567, 1234, 987]),
        (["1.234", "987", "2.345"], [1.234, 987, 2.345]),
        (["1,234", "987", "2,345"], [1234, 987, 2345]),
        (["0,234", "987", "2,345"], [0.234, 987, 2.345]),
        (["1,234", "9870", "2,345"], [1234, 9870, 2345]),
        (["3,5", "4,25", "7"], [3.5, 4.25, 7]),
        (["0,000", "1,234", "2,345"], [0, 1234, 2345]),
    ],
)
def test_a_column_decides_its_decimal_mark(texts, found):
    assert read(texts)[1].tolist() == found


def test_other_columns_decide_the_mark_of_an_ambiguous_column(tmp_path):
    german = "size;price\n" + "\n".join(f"1.{k};3.{k},50" for k in range(100, 140))
    found = source(tmp_path, german, target="price")
    assert found.train.columns["size"].tolist() == [1000.0 + k for k in range(100, 140)]
    assert found.train.target[0] == 3100.5
    assert "'1.100' read as 1100 (as in the other columns)" in "\n".join(found.notes)
    english = "size;price\n" + "\n".join(f"1,{k};3.5" for k in range(100, 140))
    found = source(tmp_path, f"{english}\n1,100;4.25\n", target="price", task="regression")
    assert found.train.columns["size"][0] == 1100


def test_texts_keep_their_commas(tmp_path):
    lines = "\n".join(
        f"{'3,5 rooms, large' if k % 2 else '1,5 and small'};{k},5" for k in range(40)
    )
    found = source(tmp_path, f"kind;price\n{lines}\n", target="price")
    assert set(found.train.columns["kind"]) == {b"3,5 rooms, large", b"1,5 and small"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2019-03-21", "2019-03-21"), ("2019-03-21T04:30:00", "2019-03-21 04:30:00"),
        ("2019-03-21T04:30:00+02:00", "2019-03-21 02:30:00"),
        ("2019-03-21 04:30Z", "2019-03-21 04:30:00"),
        ("21/03/2019 16:00", "2019-03-21 16:00:00"), ("3/21/2019 4:00 PM", "2019-03-21 16:00:00"),
        ("3/21/19", "2019-03-21"), ("21.3.2019", "2019-03-21"), ("2019/03/21", "2019-03-21"),
        ("Mar 21, 2019", "2019-03-21"),
        ("21 March 2019", "2019-03-21"), ("21-Mar-19", "2019-03-21"),
        ("Thu, 21 Mar 2019 04:30:00 GMT", "2019-03-21 04:30:00"),
        ("20190321T043000", "2019-03-21 04:30:00"),
        ("21/Mar/2019:04:30:00 +0000", "2019-03-21 04:30:00"),
        ("Thu Mar 21 04:30:00 2019", "2019-03-21 04:30:00"),
        ("2019\u5e743\u670821\u65e5", "2019-03-21"), ("March 2019", "2019-03-01"),
    ],
)  # fmt: skip
def test_times_are_parsed_in_every_form(text, said):
    column = cells([text] * 3)
    found = format_inference.infer_format(column).form
    assert found.kind == "time"
    assert {cell_formats.format_time(day) for day in cell_formats.parse_numbers(column, found)} == {
        said
    }


@pytest.mark.parametrize("text", ["12", "72.3 kg", "may 5", "1-2-3", "192.168.1.1", "", "soon"])
def test_other_texts_are_not_times(text):
    assert parse_time(text) is None


@pytest.mark.parametrize(
    ("form", "order"),
    [("{0:%d/%m/%Y %H:%M}", "dmy"), ("{0.month}/{0.day}/{0.year} {0:%H:%M}", "mdy"),
     ("{0:%d.%m.%Y %H:%M}", "dmy"), ("{0:%Y-%m-%dT%H:%M}", ""), ("{0:%b %d, %Y %I:%M %p}", "")],
)  # fmt: skip
def test_dates_in_every_form_are_in_one_order(form, order):
    import datetime

    days = [datetime.datetime(2019, 1, 1) + datetime.timedelta(hours=40 * k) for k in range(100)]
    found = parse_timeline(cells([form.format(day) for day in days]))
    assert not found.problem
    assert found.times.tolist() == [day.replace(tzinfo=datetime.UTC).timestamp() for day in days]
    judged = format_inference.infer_format(cells([form.format(day) for day in days]))
    assert judged.form.order == order


def test_ambiguous_dates_are_refused_where_their_order_matters():
    open_ones = cells(["01/02/2019", "02/01/2019", "03/04/2019"])
    with pytest.raises(DataError, match="either order"):
        parse_timeline(open_ones).require("--time date", "Name another.")
    assert not parse_timeline(
        cells(["01/02/2019", "02/03/2019"])
    ).problem  # both ways one is the newer
    with pytest.raises(DataError, match="'soon'"):
        parse_timeline(cells(["soon", "later"])).require("--time date", "Name another.")


@pytest.mark.parametrize(
    ("texts", "said"),
    [(["1553142600"] * 3, "seconds"), (["1553142600000"] * 3, "milliseconds"), (["1", "2"], "")],
)
def test_numbers_are_times_in_their_unit(texts, said):
    assert parse_timeline(cells(texts)).description.startswith(said)


def test_date_times_are_days_of_a_column_of_numbers(tmp_path):
    lines = "\n".join(f"2019-03-{k % 28 + 1:02d} 06:00:00,{k}" for k in range(60))
    found = source(tmp_path, f"when,y\n{lines}\n", target="y")
    assert found.train.columns["when"][:2].tolist() == [17956.25, 17957.25]
    assert "when: time, in days" in "\n".join(found.notes)


def test_formatted_numbers_parse_to_the_same_value():
    for form in (
        cell_formats.CellFormat("number", ","),
        cell_formats.CellFormat("number"),
        cell_formats.CellFormat("time"),
    ):
        for value in (1.234, 17956.25, 987.0, -0.125):
            column = cells([cell_formats.format_number(value, form)])
            assert cell_formats.parse_numbers(column, form).tolist() == [value]


def test_labels_of_equal_numbers_are_one_class():
    found = find_labels([cells(["1", "1.0", "0", "NA", "01", "2"])])
    assert found.names == ("0", "1", "2")
    assert found.numbers(cells(["1.0", "01", "2", "NA", "x"])).tolist() == [1, 1, 2, -1, -1]
    assert "'1' and '01' and '1.0'" in found.notes[0]
    assert find_labels([cells(["1", "1.0", "spam"])]).names == ("1", "1.0", "spam")


def test_labels_with_many_digits_are_different_classes():
    assert find_labels([np.array([1234567.0, 1234569.0, 0.1])]).names == (
        "0.1",
        "1234567",
        "1234569",
    )


@pytest.mark.parametrize("word", ["NA", "nan", "null", "None", "", "n/a", "?", "NULL", "none", "-"])
def test_a_missing_word_is_not_a_class(word):
    found = find_labels([cells(["pos"] * 20 + ["neg"] * 20 + [word] * 8)])
    assert found.names == ("neg", "pos")
    assert found.missing == (word.encode(),)


def test_none_may_be_a_class():
    found = find_labels([cells(["none"] * 30 + ["mild"] * 20 + ["severe"] * 10)])
    assert found.names == ("mild", "none", "severe")


def test_notes_name_unreadable_cells_of_a_test_table(tmp_path):
    train = "size,town,y\n" + "\n".join(f"{k},{'ab'[k % 2]},{2 * k}" for k in range(40))
    test = 'size,town,y\n5 m2,a,3\nabc,Paris,4\n"1,000",b,5\n'
    (tmp_path / "train.csv").write_text(train)
    (tmp_path / "test.csv").write_text(test)
    own, other = (csv_files.read(str(tmp_path / f"{n}.csv")) for n in ("train", "test"))
    found = rows.source(Tables(own.train, None, other.train), target="y")
    told = "\n".join(found.notes)
    assert "test column size: 2 cells such as '5 m2' (test.csv line 2), 'abc'" in told
    assert "test column town: 1 cell such as 'Paris' (test.csv line 3) is unknown" in told
    assert found.test.columns["size"][2] == 1000


def test_columns_without_latin_letters_keep_their_names_apart(tmp_path):
    random = np.random.default_rng(0)
    lines = [f"{k},{random.integers(9)},{3 * k}" for k in range(60)]
    train = source(
        tmp_path, "\n".join(["\u0446\u0435\u043d\u0430,%,\u7530", *lines]), target="\u7530"
    )
    assert len(train.train.columns) == 2
    # Other columns are there, in another order: none takes the place of another.
    (tmp_path / "ask.csv").write_text("%,\u0433\u043e\u0434,\u0446\u0435\u043d\u0430\n5,1,7\n")
    asked = csv_files.read(str(tmp_path / "ask.csv")).train
    names = train.reading.names
    found = unpack_columns(rows.read_features(asked, train.reading), train.reading.kinds)
    assert found[names["\u0446\u0435\u043d\u0430"]].tolist() == [7.0]
    assert found[names["%"]].tolist() == [5.0]


def test_a_table_of_rare_categories_is_refused(tmp_path):
    lines = "\n".join(f"n{k // 2},{'ab'[k % 2]}" for k in range(60))
    with pytest.raises(DataError, match="no text occurs 4 times"):
        source(tmp_path, f"name,label\n{lines}\n", target="label")


def test_categories_that_only_the_other_splits_have_often_are_refused(tmp_path):
    lines = "\n".join(f"n{k // 5},{'ab'[k % 2]}" for k in range(60))
    splits = split_source(source(tmp_path, f"name,label\n{lines}\n", target="label"))
    rare = splits.train.select(np.arange(3))
    with pytest.raises(DataError, match="4 training examples"):
        PrepareColumns.adapted(rare)


def test_a_number_column_with_missing_cells_is_not_constant(tmp_path):
    lines = "\n".join(f"{k},{'' if k % 5 == 0 else '0.5'},{2 * k}" for k in range(60))
    found = source(tmp_path, f"size,konst,y\n{lines}\n", target="y")
    assert set(found.train.columns) == {"size", "konst"}
    lines = "\n".join(f"{k},0.5,{2 * k}" for k in range(60))
    found = source(tmp_path, f"size,konst,y\n{lines}\n", target="y")
    assert "columns left out: konst (constant)" in found.notes


def test_numbers_among_times_are_not_times():
    numbers = [f"{k}.5" for k in range(100)]
    assert read([*numbers, "2019-01-02"])[0] == "number"
    seconds = [str(1546300800 + 86400 * k) for k in range(50)]
    days = [f"2019-03-{k % 28 + 1:02d}" for k in range(50)]
    with pytest.raises(DataError, match="only numbers"):
        parse_timeline(cells(days + seconds)).require("--time date", "Name another.")
    assert read(days + ["0"] * 10)[0] == "time"


def test_durations_and_mixed_units_are_refused_as_times():
    with pytest.raises(DataError, match="lengths of time such as '0 days ago'"):
        parse_timeline(cells([f"{k} days ago" for k in range(30)])).require(
            "--time date", "Name another."
        )
    with pytest.raises(DataError, match="times without a date"):
        parse_timeline(cells([f"{k % 24}:05" for k in range(30)])).require(
            "--time date", "Name another."
        )
    seconds = [1546300800 + 86400 * k for k in range(50)]
    mixed = [str(one * 1000 if k % 2 else one) for k, one in enumerate(seconds)]
    with pytest.raises(DataError, match="25 seconds and 25 milliseconds"):
        parse_timeline(cells(mixed)).require("--time date", "Name another.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1. Januar 2019", "2019-01-01"), ("16 févr. 2019", "2019-02-16"),
        ("5 de marzo de 2020", "2020-03-05"), ("2019年3月", "2019-03-01"), ("Jan-19", "2019-01-01"),
        ("2019年3月1日 9时5分", "2019-03-01 09:05:00"),
        ("2019/3/1 下午3:05", "2019-03-01 15:05:00"),
    ],
)  # fmt: skip
def test_dates_in_other_languages_are_read(text, said):
    assert cell_formats.format_time(parse_time(text).days("")) == said


def test_zero_dates_of_databases_are_missing():
    kind, found = read(["0000-00-00", "2019-03-21", "2019-03-22", "0000-00-00"])
    assert kind == "time"
    assert np.isnan(found).tolist() == [True, False, False, True]


def test_a_number_column_may_hold_a_few_bounds():
    assert read([f"~{k}" if k % 5 == 0 else str(k) for k in range(300)])[0] == "number"
    assert read([f"<{k}" if k % 6 == 0 else str(k) for k in range(300)])[0] == "number"


def test_plus_and_minus_are_classes():
    found = find_labels([cells(["+", "-"] * 20)])
    assert found.names == ("+", "-")


def test_booleans_that_differ_in_case_are_one_class():
    found = find_labels([cells(["yes", "no"] * 20), cells(["Yes", "NO"])])
    assert found.names == ("no", "yes")
    assert found.numbers(cells(["Yes", "NO", "maybe"])).tolist() == [1, 0, -1]
    letters = find_labels([cells(["a", "A", "b"] * 5)])
    assert letters.names == ("A", "a", "b")
    assert letters.notes == ("labels that look alike are different classes: 'A' and 'a'",)


def test_notes_name_classes_without_training_rows():
    found = find_labels([cells(["a", "b"] * 20), cells(["a", "c"])])
    assert found.notes == ("no row of train has the class 'c'",)


def test_a_number_column_may_hold_remarks():
    numbers = [f"{value / 7:.3f}" for value in range(300)]
    remarks = [
        f"see letter {'abcdefghijklmnopqrstuvwxyz'[k % 26] * (k // 26 + 1)}" for k in range(75)
    ]
    assert format_inference.infer_format(cells(numbers + remarks)).form.kind == "number"
    codes = [f"A/{k} {k * 7}" for k in range(75)]  # as of tickets
    assert format_inference.infer_format(cells(numbers + codes)).form.kind == "category"
    kinds = [f"kind {'abcdefghijklmno'[k % 15]}" for k in range(75)]
    assert format_inference.infer_format(cells(numbers + kinds)).form.kind == "category"


@pytest.mark.parametrize("word", ["unknown", "", "see file"])
def test_an_unparsable_cell_has_the_flag_of_a_missing_one(word, tmp_path):
    lines = [f"{word if row % 12 == 0 else row % 80},{row}" for row in range(240)]
    found = split_source(source(tmp_path, "\n".join(["age,price", *lines]), target="price"))
    layer = PrepareColumns.adapted(found.train)
    assert (layer.gaps, layer.widths) == (["age"], {"numbers": 1, "flags": 1})
    given = {"numbers": tf.constant([[np.nan], [30.0]]), "texts": tf.zeros((2, 0), tf.string)}
    assert layer(given)["flags"].numpy().tolist() == [[1], [0]]
    said = "20 unreadable such as 'see file'" if word == "see file" else "20 missing"
    assert any(f"age: number, {said}" in note for note in found.notes)


def test_notes_name_categories_that_differ_in_case(tmp_path):
    lines = [f"{('yes', 'YES', 'no', 'No', 'maybe')[row % 5]},{row}" for row in range(60)]
    found = source(tmp_path, "\n".join(["paid,price", *lines]), target="price")
    assert any(
        "paid: 5 categories ('No' and 'no' are different categories and 1 more such groups" in note
        for note in found.notes
    )


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        ((b"1000000000000000000", b"1000000000000000001"), 2),
        ((b"9007199254740993", b"9007199254740993.0"), 1),
        ((b"1", b"1.0", b"01", b"1e0", b"-0", b"0"), 2),
        ((b"0.1", b"0.10", b"0.10000000000000000001"), 2),
    ],
)
def test_exactly_equal_numbers_are_one_class(cells, names):
    """Identifiers of 19 digits that differ in the last were one class as floats."""
    assert len(find_labels([np.array(cells, object)]).names) == names


def test_a_test_table_without_a_column_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text("a,b,y\n" + "1,2,3\n4,5,6\n" * 9)
    (tmp_path / "test.csv").write_text("a,y\n1,2\n")
    train, test = (csv_files.read(str(tmp_path / name)).train for name in ("train.csv", "test.csv"))
    with pytest.raises(DataError, match="without the column b; expected every column"):
        rows.source(Tables(train, None, test), target="y")
