"""Figures are legible: letters of any script, labels without overlap, names of run and files."""

import gzip
import itertools
import shutil
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import pyplot

import apps
from evaluation import figures, fonts, style
from evaluation.modalities import images as of_images
from evaluation.modalities import texts as of_texts
from evaluation.tasks import classification, regression, task_of
from pipelines.examples import Examples
from training.run import Run
from training.train import train

SHARED = Path(__file__).resolve().parents[2] / "shared"
WATER = "\u6c34"
BOX = "\u25a1"


@pytest.fixture(autouse=True)
def close_figures():
    with matplotlib.rc_context(style.STYLE):
        yield
    pyplot.close("all")


@pytest.fixture
def install_fonts(monkeypatch):
    """A function that makes these fonts the installed ones, besides those of matplotlib."""

    def install(*paths):
        monkeypatch.setattr(fonts.font_manager, "findSystemFonts", lambda: [*map(str, paths)])
        fonts.fonts.cache_clear()
        return fonts.fonts()

    yield install
    fonts.fonts.cache_clear()


def font_of(path, character):
    """Write a font whose only letter is a square."""
    pen = TTGlyphPen(None)
    for point in ((0, 0), (0, 700), (700, 700), (700, 0)):
        (pen.lineTo if pen.points else pen.moveTo)(point)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "sign"])
    builder.setupCharacterMap({ord(character): "sign"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "sign": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (800, 0), "sign": (800, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Athanor Test", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def texts_of(figure):
    """Return all texts of a figure as they are drawn."""
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def confusion_of(label):
    predictions = classification.Predictions(np.eye(2), np.arange(2))
    return classification.figures(predictions, SimpleNamespace(labels=(label, "b")))[
        "confusion.png"
    ]


def test_an_installed_font_draws_its_script(install_fonts, tmp_path):
    installed = install_fonts(font_of(tmp_path / "test.ttf", WATER))
    assert installed.names == ["DejaVu Sans", "Athanor Test"]
    assert installed.drawable(f"a {WATER}\n b") == f"a {WATER} b"
    assert installed.note() == ""
    with matplotlib.rc_context({"font.family": installed.names}):
        assert WATER in texts_of(confusion_of(WATER))


def test_without_a_font_there_is_a_note_and_no_box(install_fonts):
    installed = install_fonts()
    figure = confusion_of(WATER * 2)
    assert "??" in texts_of(figure)
    assert not any(BOX in text or WATER in text for text in texts_of(figure))
    assert WATER in installed.note()
    assert "Install a font" in installed.note()


def test_wide_letters_take_two_columns(install_fonts, tmp_path):
    install_fonts(font_of(tmp_path / "test.ttf", WATER))
    assert fonts.width(f"ab{WATER}") == 4
    assert fonts.width("e\u0301") == 1
    line = of_texts._break_into_lines([(WATER, 0.0)] * 100)
    assert all(
        sum(fonts.width(piece) + 1 for piece, _ in one) <= of_texts.MAX_LINE_WIDTH for one in line
    )
    assert len(line) == 3


@pytest.mark.parametrize("scale", [1.0, 1e5, 1e7])
def test_tick_labels_do_not_overlap(scale):
    target = scale * np.linspace(1, 3, 50)
    drawn = regression.figures(regression.Predictions(target * 1.1, target), None, "SalePrice")
    for figure in drawn.values():
        figure.canvas.draw()
        for axis in figure.axes:
            boxes = [
                label.get_window_extent() for label in axis.get_xticklabels() if label.get_text()
            ]
            inside = [box for box in boxes if box.x0 >= 0 and box.x1 <= figure.bbox.x1]
            assert len(inside) >= 2
            for one, other in itertools.pairwise(sorted(inside, key=lambda box: box.x0)):
                assert one.x1 < other.x0
    assert "true SalePrice" in texts_of(drawn["predicted.png"])
    assert "predicted minus true SalePrice" in texts_of(drawn["residuals.png"])


def test_a_figure_names_its_run():
    figure = pyplot.figure()
    manifest = {"app": "regression", "fields": {"data": "csv:houses.csv"}}
    run = SimpleNamespace(manifest=manifest, path=Path("runs/20260101-000000"))
    style.caption(figure, figures._caption(run))
    assert texts_of(figure) == ["regression run 20260101-000000; data csv:houses.csv"]
    run.path /= "target-price"
    assert "regression run 20260101-000000/target-price; data" in figures._caption(run)


def test_learning_curves_mark_the_best_epoch_and_the_second_stage():
    columns = {name: [1.0, 0.5, 0.4, 0.6] for name in ("loss", "val_loss", "learning_rate")}
    columns["epoch"] = [1.0, 2, 3, 4]
    rate = {"fields": {"learning_rate": None}, "chosen": {"learning_rate": 0.1}}
    figure = figures._learning_curves(columns, rate | {"best_epoch": 3, "stages": [3]})
    assert {"best: epoch 3", "second stage"} <= set(texts_of(figure))
    one = figures._learning_curves(columns, rate | {"best_epoch": 2})
    assert "second stage" not in texts_of(one)
    assert "learning rate at the epoch's end" in texts_of(one)


def test_the_curves_of_a_model_without_steps_show_no_learning_rate():
    columns = {name: [1.0] for name in ("epoch", "loss", "val_loss", "learning_rate")}
    fields = {"learning_rate": None}
    figure = figures._learning_curves(columns, {"best_epoch": 1, "fields": fields, "chosen": {}})
    assert [axis.get_title() for axis in figure.axes] == ["loss"]


def test_the_worst_mistakes_have_the_names_of_their_files():
    target, predicted = np.array([0, 1, 0]), np.array([1, 1, 1])
    images = Examples.of(np.zeros((3, 8, 8, 3), "uint8"), target)
    predictions = classification.Predictions(np.eye(2)[predicted] * 0.8 + 0.1, target)
    texts = " ".join(texts_of(of_images._draw_worst(predictions, images, ("cat", "dog"))))
    assert "test example 0" in texts
    names = np.array([f"cat/a-long-name-of-a-holiday-{k}.jpg" for k in range(3)])
    named = Examples(images.features, target, images.rows, files=names)
    texts = " ".join(texts_of(of_images._draw_worst(predictions, named, ("cat", "dog"))))
    assert "holiday-0.jpg" in texts
    assert "holiday-2.jpg" in texts


@pytest.mark.slow
@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.__name__)
def test_every_app_draws_its_figures(app, tiny_run, tmp_path):
    run = Run.load(shutil.copytree(tiny_run(app).path, tmp_path / "run"))
    drawn = figures.draw(run, task_of(run).predict_test_set(run))
    assert drawn.notes == []
    assert "learning_curves.png" in drawn.names
    for name in drawn.names:
        height, width, _ = pyplot.imread(run.path / name).shape
        assert 200 < height < 3000
        assert 300 < width < 3000


@pytest.mark.slow
def test_chinese_labels_are_drawn_or_the_note_names_them(tmp_path):
    data = SHARED / "data" / "csl_chinese_titles" / "title_category_dev.tsv.gz"
    if not data.exists():
        pytest.skip("needs ../shared/data")
    lines = gzip.decompress(data.read_bytes()).decode().splitlines()[:1000]
    (tmp_path / "titles.tsv").write_text("\n".join(lines))
    address = f"csv:{tmp_path / 'titles.tsv'}"
    app = apps.Text(data=address, text="title", target="category", epochs=1, width=8)
    run = train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    drawn = figures.draw(run, task_of(run).predict_test_set(run))
    assert (drawn.notes == []) == fonts.fonts()._has(WATER)


def test_the_middle_of_a_long_name_is_left_out():
    """The end distinguishes names, or is the unit."""
    short = fonts.fonts().short
    names = [f"a class with a rather long name, one of thirty, number {k}" for k in range(30)]
    assert len({short(name) for name in names}) == 30
    assert all(fonts.width(short(name)) <= fonts.MAX_NAME_WIDTH for name in names)
    assert short("price of all parts together (USD)", 20) == "price of a…her (USD)"
    assert short("price (USD)", 20) == "price (USD)"
    assert short(WATER * 20, 9).count("…") == 1
    assert fonts.width(short(WATER * 20, 9)) <= 9


def test_axis_labels_with_a_long_target_name_do_not_overlap():
    target = fonts.fonts().short(
        "yearly cost of the building " * 3 + "(k$)", figures.MAX_TARGET_WIDTH
    )
    random = np.random.default_rng(0)
    values = random.normal(size=300) * 1e6
    predictions = regression.Predictions(values + random.normal(size=300), values)
    for figure in regression.figures(predictions, None, target).values():
        figure.canvas.draw()
        boxes = [axis.xaxis.label.get_window_extent() for axis in figure.axes]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
        height = figure.bbox.height
        for axis in figure.axes:
            box = axis.yaxis.label.get_window_extent()
            assert box.y0 >= 0
            assert box.y1 <= height
