"""Text files in any encoding, compressed or not, and the reasons for refusing others."""

import bz2
import gzip
import lzma
import zipfile

import pytest

from pipelines.examples import AddressError, DataError
from pipelines.tables import csv_files

FRENCH = ["café déjà superbe", "tête à tête", "« où est la gare ? » demanda-t-elle", "naïve"]
SAMPLES = {
    "cp1252": (
        "Windows-1252",
        ["Größe: 12 € „billig“", "Straße, Köln", "Ärger über Öl", *FRENCH],
    ),
    "mac_roman": ("Mac Roman", ["Größe der Straße", "Köln, Lübeck", "Ärger über Öl", *FRENCH] * 3),
    "cp1250": ("Windows-1250", ["Zażółć gęślą jaźń", "Łódź i Kraków są piękne", "środa, piątek"]),
    "cp1251": ("Windows-1251", ["Съешь ещё этих мягких булок", "Москва, Россия", "хорошо"]),
    "koi8_r": ("KOI8-R", ["Съешь ещё этих мягких французских булок", "да выпей же чаю"]),
    "gb18030": (
        "GB18030",
        ["一种基于平方和优化的飞行器控制器设计方法", "你用跑的。", "水运工程施工"],
    ),
    "big5": ("Big5", ["這是一個繁體中文的句子", "請問車站在哪裡", "今天的天氣很好"]),
    "shift_jis": ("Shift-JIS", ["これは日本語の文章です", "駅はどこですか", "カタカナとひらがな"]),
    "euc_jp": ("EUC-JP", ["これは日本語の文章です", "駅はどこですか", "カタカナとひらがな"]),
    "euc_kr": ("EUC-KR", ["이것은 한국어 문장입니다", "역은 어디에 있습니까", "좋은 하루"]),
    "cp1253": (
        "Windows-1253",
        ["Αυτή είναι μια ελληνική πρόταση", "Πού είναι σταθμός", "καλημέρα"],
    ),
}


def read(place, content, name="file.csv"):
    (place / name).write_bytes(content)
    return csv_files.read(str(place / name))


def texts(found):
    return [cell.decode() for cell in found.train.columns["text"]]


def table(rows):
    return "text;n\n" + "".join(f"{row};{number}\n" for number, row in enumerate(rows))


@pytest.mark.parametrize("codec", SAMPLES)
def test_other_encodings_are_detected_and_noted(codec, tmp_path):
    title, rows = SAMPLES[codec]
    found = read(tmp_path, table(rows * 5).encode(codec))
    assert texts(found) == rows * 5
    (note,) = found.notes
    assert note.startswith(f"file.csv is not UTF-8; read as {title}, as in '")


# As they are in short files: three rows, of which some letters are in no other encoding's language.
SHORT = {
    "cp1250": (
        ["Győr", "Kőszeg", "fehér kenyér"],
        ["Szűcs Tünde", "Győző", "tejföl"],
        ["Částečně", "Tomáš Dvořák", "rychlé doručení"],
        ["Bielsko-Biała", "Łukasz", "ser żółty"],
        ["Timişoara", "preţ prea mare", "brânză"],
        ["Ion Rădulescu", "mărime greşită", "pâine"],
        ["Čakovec", "Željko Babić", "odlično"],
        ["Nové Mesto", "Ľubomír Šťastný", "čierny"],
    ),
    "cp1254": (
        ["İzmir", "Ayşe Y\u0131lmaz", "k\u0131rm\u0131z\u0131"],
        ["Eskişehir", "çok güzel", "ekmek"],
        ["Muğla", "Gülşen", "süt"],
    ),
    "cp1257": (["Rīga", "Jānis Bērziņš", "piens"],),
    "iso8859_2": (["Śląsk", "Wąbrzeźno", "jabłka"], ["Plzeň", "Šťastný", "žlutý kůň"]),
    "cp1252": (
        ["São Paulo", "João Conceição", "botões"],
        ["Málaga", "¿por qué?", "niño"],
        ["Forlì", "perché no", "così"],
        ["10 m³", "5 cm²", "20 °C"],
        ["Orléans", "«\xa0échoué\xa0»", "à côté"],
        ["Søren", "Næstved", "smør"],
        ["£5", "½ lb", "3 µm"],
    ),
    "cp852": (["Částečně", "Tomáš Dvořák", "žlutý kůň"],),
    "cp850": (["Größe", "Straße nach Köln", "für Käthe"],),
    "mac_roman": (["Größe", "Straße nach Köln", "für Käthe"],),
}


@pytest.mark.parametrize(
    ("codec", "rows"), [(codec, rows) for codec, samples in SHORT.items() for rows in samples]
)
def test_latin_encodings_are_detected_by_the_letters_of_languages(codec, rows, tmp_path):
    assert texts(read(tmp_path, table(rows).encode(codec))) == rows


@pytest.mark.parametrize("rows", [["Köln"], ["Ä"], ["Õhtu ööd"], ["Ações"], ["été"]])
def test_a_word_is_windows_1252(rows, tmp_path):
    assert texts(read(tmp_path, table(rows).encode("cp1252"))) == rows


@pytest.mark.parametrize(
    "codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-8"]
)
def test_unicode_is_read_with_and_without_a_byte_order_mark(codec, tmp_path):
    found = read(tmp_path, table(FRENCH).encode(codec))
    assert (texts(found), found.notes) == (FRENCH, ())


@pytest.mark.parametrize("bad", [b"\xff", b"\xe9", b"\xc3", b"\x80\x81"])
def test_invalid_bytes_are_replaced_and_noted(bad, tmp_path):
    lines = table(FRENCH * 9).encode().split(b"\n")
    lines[7] = b"so " + bad + b" there;7"
    found = read(tmp_path, b"\n".join(lines))
    expected = FRENCH * 9
    expected[6] = "so " + "\ufffd" * len(bad) + " there"
    assert texts(found) == expected
    (note,) = found.notes
    assert f"{len(bad)} byte" in note and note.endswith("line 8")


def test_a_byte_that_windows_1252_does_not_have_is_named(tmp_path):
    rows = table(FRENCH * 9).encode("cp1252") + b"what \x81 is this;99\n"
    found = read(tmp_path, rows)
    assert texts(found)[-1] == "what \ufffd is this"
    assert found.notes[1].endswith("line 38")


def test_nul_bytes_after_the_text_are_left_out_and_noted(tmp_path):
    found = read(tmp_path, b"text;n\na;1\nb;2\n" + bytes(512))
    assert (texts(found), found.train.broken) == (["a", "b"], ())
    assert "512 NUL bytes" in found.notes[0]


@pytest.mark.parametrize("before", [3, 5000])
def test_nul_bytes_within_the_text_are_refused_with_their_line(before, tmp_path):
    content = b"text;n\n" + b"a;1\n" * before + bytes(7) + b"b;2\n"
    with pytest.raises(DataError, match=f"a NUL byte in line {before + 2}"):
        read(tmp_path, content)


def zipped(place, *names):
    with zipfile.ZipFile(place / "file.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, table(FRENCH))
    return (place / "file.zip").read_bytes()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("codec", ["utf-8", "cp1252"])
def test_compressed_files_are_read(pack, codec, tmp_path):
    found = read(tmp_path, pack(table(FRENCH).encode(codec)), "file.csv.gz")
    assert texts(found) == FRENCH


def test_a_zip_that_python_cannot_unpack_is_refused(tmp_path):
    """Windows packs large files by Deflate64, which is method 9."""
    content = bytearray(zipped(tmp_path, "rows.csv"))
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.find(mark) + place] = 9
    (tmp_path / "file.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"packed in a way .* Unpack it"):
        csv_files.read(str(tmp_path / "file.zip"))


def test_a_zip_of_one_file_is_read(tmp_path):
    content = zipped(tmp_path, "data/rows.csv", "__MACOSX/data/._rows.csv")
    assert texts(read(tmp_path, content, "file.zip")) == FRENCH


def test_other_zips_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds 2 files \(a.csv, b.csv\)"):
        read(tmp_path, zipped(tmp_path, "a.csv", "b.csv"))
    with pytest.raises(DataError, match="an Excel workbook"):
        read(tmp_path, zipped(tmp_path, "[Content_Types].xml", "xl/sheet.xml"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b"text;n\n" + b"a;1\n" * 9999)[:-30], "damaged or cut off"),
        (gzip.compress(bytes(10) + b"\x7f" * 9999), "not a text file"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 99, "damaged or cut off"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "workbook of an old Excel"),
        (b"PAR1" + bytes(99), "a Parquet file"),
        (b"a" * 257 + b"ustar\x00" + bytes(99), "a tar archive"),
        (b"PK\x03\x04" + b"x" * 99, "damaged or cut off"),
    ],
    ids=range(7),
)
def test_binary_files_are_refused_by_their_format(content, says, tmp_path):
    with pytest.raises(DataError, match=says):
        read(tmp_path, content)


def test_missing_files_are_refused():
    with pytest.raises(AddressError, match="No such file"):
        csv_files.read("nowhere.csv.gz")
