"""CSV files that cannot be trained on: the bytes, and a part of the error message."""

ROWS = "".join(f"{k % 7},{k * k % 11},{k % 5}\n" for k in range(60))
# Asked by `regression train --data csv:bad.csv --target y`.
REGRESSION = {
    "empty": (b"", "empty"),
    "blanks": (b"  \n\t\n \r\n", "empty"),
    "one line break": (b"\n", "empty"),
    "a mark alone": (b"\xef\xbb\xbf", "empty"),
    "a mark of UTF-16 alone": (b"\xff\xfe", "empty"),
    "a header alone": (b"a,b,y\n", "without rows"),
    "a header without a line break": (b"a,b,y", "without rows"),
    "a header and broken lines": (b"a,b,y\n1\n2,3\n4,5,6,7\n", "none of the 3 lines"),
    "one column": (b"y\n" + b"1\n2\n3\n" * 20, "target"),
    "one row": (b"a,y\n1,2\n", "a"),
    "two rows": (b"a,y\n1,2\n2,3\n", "2 classes"),
    "three equal rows": (b"a,y\n" + b"1,2\n" * 60, "anything can be learnt"),
    "no target": (b"a,b,z\n" + ROWS.encode(), "--target"),
    "a target by another case": (b"a,b,Y\n" + ROWS.encode(), "a, b, Y"),
    "a target without a value": (b"a,y\n" + b"1,\n2,\n3,\n" * 20, "without a known cell"),
    "a target of NA": (b"a,y\n" + b"1,NA\n2,null\n3,?\n" * 20, "without a known cell"),
    "a target of texts that all differ": (
        ("a,y\n" + "".join(f"{k},word{k}\n" for k in range(60))).encode(),
        "60 classes",
    ),
    "a target of one class": (b"a,y\n" + b"1,yes\n2,yes\n3,yes\n" * 20, "a single class or value"),
    "a constant target": (b"a,y\n" + b"1,5\n2,5\n3,5\n4,5\n" * 20, "a single class or value"),
    "a target of infinities": (b"a,y\n" + b"1,inf\n2,-inf\n3,inf\n" * 20, "known cell"),
    "a target beyond float32": (
        b"a,y\n" + b"1,1e300\n2,2e300\n3,3e300\n" * 20,
        "known cell",
    ),
    "a target beyond float64": (b"a,y\n" + b"1,1e400\n2,-1e400\n3,2e400\n" * 20, "known cell"),
    "columns of nothing": (b"a,b,y\n" + b",,1\n,,2\n,,3\n" * 20, "anything can be learnt"),
    "columns of NaN": (b"a,b,y\n" + b"nan,NaN,1\nNAN,nan,2\n" * 30, "anything can be learnt"),
    "constant columns": (b"a,b,y\n" + b"1,x,1\n1,x,2\n1,x,3\n" * 20, "anything can be learnt"),
    "columns of infinity": (b"a,y\n" + b"inf,1\n-inf,2\n1e400,3\n" * 20, "anything can be learnt"),
    "names alone that all differ": (
        ("a,y\n" + "".join(f"id{k},{k % 9}\n" for k in range(60))).encode(),
        "anything can be learnt",
    ),
    "bytes of nothing": (b"\x00" * 300, "not a text"),
    "bytes of a program": (b"\x7fELF\x02\x01\x01\x00" + bytes(range(256)) * 4, "not a text"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01", "bad.csv"),
    "a zip": (b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + b"\x11" * 50, "bad.csv"),
    "gzip": (b"\x1f\x8b\x08\x00" + b"\x11" * 50, "bad.csv"),
    "a workbook by another name": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 50, "not a text"),
    "JSON": (b'{"a": [1, 2, 3], "y": [1, 2, 3]}\n', "without rows"),
    "HTML": (b"<!doctype html>\n<html><body>not found</body></html>\n", "--target"),
    "half of UTF-16": ("a,y\n1,2\n".encode("utf-16")[:-1], "anything can be learnt"),
    "UTF-16 without a mark": ("a,y\n1,2\n2,3\n".encode("utf-16-le"), "2 classes"),
    "UTF-32": ("a,y\n1,2\n2,3\n".encode("utf-32"), "--target"),
    "other names than expected in a strange script": ("甲,乙\n1,2\n".encode() * 30, "--target"),
    "names of blanks": (b" , ,\n" + ROWS.encode(), "--target"),
    "a name of ten thousand letters": (b"a" * 10_000 + b",b,z\n" + ROWS.encode(), "--target"),
    "thousands of columns": (
        (
            ",".join(f"c{k}" for k in range(5000)) + "\n" + ",".join("1" for _ in range(5000))
        ).encode(),
        "--target",
    ),
    "a cell of a million letters": (
        b"a,y\n" + b"x" * 1_000_000 + b",1\n",
        "anything can be learnt",
    ),
    "carriage returns alone": (b"a,z\r1,2\r2,3\r", "--target"),
    "a separator that nobody uses": (b"a^y\n1^2\n2^3\n" * 20, "--target"),
    "a tab in the target's name": (b"a\t y z\n1\t2\n" * 20, "--target"),
}
# Asked by `text train --data csv:bad.csv`.
TEXT = {
    "empty": (b"", "empty"),
    "a header alone": (b"text,label\n", "without rows"),
    "no classes": (b"text\nhello\nthere\n" * 20, "--target"),
    "one class": (b"text,label\n" + b"a b,x\nc d,x\ne f,x\n" * 20, "1 different"),
    "classes without a value": (b"text,label\n" + b"a b,\nc d,\n" * 20, "0 different"),
    "as many classes as rows": (
        ("text,label\n" + "".join(f"w{k} w{k + 1},c{k}\n" for k in range(1200))).encode(),
        "1200 different",
    ),
    "two rows": (b"text,label\ngood,1\nbad,0\n", "2 of them distinct"),
    "empty texts": (b"text,label\n" + b",a\n,b\n" * 40, "no row with a text"),
    "texts of blanks": (b"text,label\n" + b'"  ",a\n"\t",b\n' * 40, "no row with a text"),
    "equal texts": (b"text,label\n" + b"same,a\nsame,b\n" * 40, "1 of them distinct"),
    "two targets, none by a usual name": (b"text,one,two\n" + b"a,b,c\nd,e,f\n" * 20, "--target"),
    "bytes": (bytes(range(256)) * 8, "bad.csv"),
    "numbers alone": (b"a,b,c\n" + b"1,2,3\n4,5,6\n" * 20, "--target"),
}
# Asked by `recommender train --data csv:bad.csv`.
RATINGS = {
    "empty": (b"", "empty"),
    "a header alone": (b"user,item,rating\n", "without rows"),
    "no user": (b"who,item,rating\n" + b"a,b,3\nc,d,4\n" * 9, "--user"),
    "no item": (b"user,what,rating\n" + b"a,b,3\nc,d,4\n" * 9, "--item"),
    "users alone": (b"user_id\n" + b"a\nb\n" * 9, "--item"),
    "words for ratings": (b"user_id,item_id,rating\n" + b"a,b,good\nc,d,bad\n" * 9, "rating"),
    "ratings that are missing": (b"user_id,item_id,rating\n" + b"a,b,\nc,d,\n" * 9, "rating"),
    "ratings of NaN": (b"user_id,item_id,rating\n" + b"a,b,nan\nc,d,NaN\n" * 9, "rating"),
    "ratings of infinity": (b"user_id,item_id,rating\n" + b"a,b,inf\nc,d,-inf\n" * 9, "rating"),
    "ratings beyond float32": (
        b"user_id,item_id,rating\n" + b"a,b,1e39\nc,d,1e300\n" * 9,
        "rating",
    ),
    "no names": (b"user_id,item_id,rating\n" + b",b,1\nc,,2\n" * 9, "none with a user"),
    "one pair": (b"user_id,item_id,rating\na,b,3\n", "1 of them distinct"),
    "one pair many times": (b"user_id,item_id,rating\n" + b"a,b,3\n" * 50, "1 of them distinct"),
    "two pairs": (b"user_id,item_id,rating\na,b,3\nc,d,4\n", "2 of them distinct"),
    "bytes": (bytes(range(256)) * 8, "bad.csv"),
}
TABLES = {
    "regression": ("regression train --data csv:bad.csv --target y --epochs 1", REGRESSION),
    "text": ("text train --data csv:bad.csv --epochs 1", TEXT),
    "recommender": ("recommender train --data csv:bad.csv --epochs 1", RATINGS),
    "tune": (
        "regression tune --data csv:bad.csv --target y",
        {name: REGRESSION[name] for name in ("empty", "a header alone", "two rows")},
    ),
    "folds": (
        "regression train --data csv:bad.csv --target y --folds 3",
        {name: REGRESSION[name] for name in ("empty", "one row", "two rows")},
    ),
}
