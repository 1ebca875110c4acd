"""The page in a real browser: each kind of question is asked, answered and explained."""

import base64
import io
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import apps
from apps import Finetune, Mnist, Recommender, Regression, Text

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not CHROMIUM, reason="needs the program chromium"),
]
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DAYS = "days since 1970"
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 740}
expect = playwright.expect
each_app = pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, address):
    """A function from an app to its page, on which nothing may go wrong."""
    wrong, contexts = [], []

    def listen(page):
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: said.type != "info" and wrong.append(said.text))
        page.on("request", lambda one: alone(one.url) or wrong.append(one.url))

    def alone(url):
        return url.startswith((address, "data:", "blob:"))

    def open_page(app, *, answered=True, **options):
        context = browser.new_context(**{"viewport": WIDE} | options)
        contexts.append(context)
        page = context.new_page()
        listen(page)
        page.goto(f"{address}#{app.name()}")
        if answered:
            expect(page.locator("#prediction .headline, #prediction table")).to_be_visible()
            expect(page.locator("#prediction")).to_have_attribute("aria-busy", "false")
        return page

    open_page.wrong = wrong
    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def explained(page):
    """The explanation, once it is there."""
    expect(page.locator("#explanation-card")).to_be_visible()
    expect(page.locator("#explanation")).to_have_attribute("aria-busy", "false")
    return page.locator("#explanation")


def headline(page):
    return page.locator("#prediction .headline").inner_text()


@each_app
def test_a_page_answers_explains_and_fits_a_phone_in_the_dark(app, opened):
    page = opened(app, viewport=PHONE, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    behind, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert sum(map(int, re.findall(r"\d+", behind))) < 150 < sum(map(int, re.findall(r"\d+", ink)))
    assert page.locator("#curl").text_content().startswith(("curl ", "echo "))
    assert app.name() in page.locator("#curl").text_content()
    if app is not Mnist:  # a tiny perceptron has no map of places
        assert explained(page).inner_text()
    labels = page.evaluate(
        "[...document.querySelectorAll('input, select, textarea')].filter((one) => "
        "!one.labels.length && !one.ariaLabel && one.ariaHidden !== 'true').length"
    )
    assert labels == 0


@pytest.mark.slow
def test_a_digit_is_drawn_by_mouse(opened):
    page = opened(Mnist)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#prediction")).to_contain_text("Draw something")
    box = page.locator(".pad").bounding_box()
    middle, top = box["x"] + box["width"] / 2, box["y"] + 0.2 * box["height"]
    page.mouse.move(middle, top)
    page.mouse.down()
    page.mouse.move(middle, top + 0.6 * box["height"], steps=8)
    page.mouse.up()
    expect(page.locator("#prediction .headline")).to_be_visible()
    assert page.locator("#prediction .bar").count() == 10
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#prediction")).to_contain_text("Draw something")


def test_a_digit_is_drawn_by_keyboard_alone(opened):
    page = opened(Mnist)
    keys = page.keyboard
    keys.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    keys.press("Enter")
    assert page.evaluate("document.activeElement.id") == "input"
    keys.press("Tab")
    assert page.evaluate("document.activeElement.className") == "pad"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keys.press("Delete")
    expect(page.locator("#prediction")).to_contain_text("Draw something")
    keys.press("Space")
    for _ in range(12):
        keys.press("ArrowDown")
    keys.press("Space")
    expect(page.locator("#prediction .headline")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("%")


@pytest.mark.slow
def test_a_photo_is_chosen_dropped_or_pasted(opened, tmp_path, exported):
    images = exported(Finetune).splits.test.numpy(slice(6)).features
    path = tmp_path / "large.png"
    large = tf.image.resize(images[5], (300, 200), method="nearest")
    path.write_bytes(tf.io.encode_png(tf.cast(large, tf.uint8)).numpy())
    page = opened(Finetune)
    page.locator("input[type=file]").set_input_files(path)
    expect(page.locator("#curl")).to_contain_text("large.png")
    explained(page)
    assert (
        page.locator("#explanation canvas")
        .get_attribute("aria-label")
        .startswith("Strongest support for ")
    )
    for event in ("drop", "paste"):
        page.evaluate(GIVE, [event, list(path.read_bytes())])
        expect(page.locator("#curl")).to_contain_text(f"{event}.png")
    label = page.locator("#prediction .bar").nth(2)
    label.click()
    expect(label).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#explanation-title")).to_contain_text(label.get_attribute("data-label"))


GIVE = """([event, bytes]) => {
  const given = new DataTransfer();
  given.items.add(new File([new Uint8Array(bytes)], `${event}.png`, { type: "image/png" }));
  const Kind = event === "drop" ? DragEvent : ClipboardEvent;
  const name = event === "drop" ? "dataTransfer" : "clipboardData";
  const told = new Kind(event, { [name]: given, bubbles: true, cancelable: true });
  (event === "drop" ? document.querySelector(".drop") : document).dispatchEvent(told);
}"""


def test_a_file_that_is_no_picture_is_answered_in_words(opened, tmp_path):
    page = opened(Finetune)
    path = tmp_path / "notes.txt"
    path.write_text("no picture")
    page.locator("input[type=file]").set_input_files(path)
    expect(page.get_by_role("alert")).to_contain_text("notes.txt is not a picture")


def test_a_text_is_typed_and_its_words_are_coloured(opened):
    page = opened(Text)
    box = page.get_by_label("Text", exact=True)
    box.fill("")
    expect(page.locator("#prediction")).to_contain_text("Enter a text")
    box.press_sequentially("the food was <b id=x>awful</b> & 'good'", delay=1)
    expect(page.locator("#explanation .words .word")).to_have_count(7)
    assert page.locator("#x").count() == 0
    first = page.locator("#explanation-title").inner_text()
    other = page.locator("#prediction .bar[aria-pressed=false]")
    other.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#explanation-title")).not_to_have_text(first)
    assert r"'\''good'\''" in page.locator("#curl").text_content()


def test_a_row_is_filled_in_and_its_columns_are_weighed(opened):
    page = opened(Regression)
    assert "typical values" in explained(page).inner_text()
    page.get_by_role("button", name="High", exact=True).click()
    expect(page.locator("#explanation .effects li")).to_have_count(10)
    before = headline(page)
    bmi = page.get_by_label("bmi")
    bmi.press("ArrowUp")
    for _ in range(30):
        bmi.press("ArrowUp")
    expect(page.locator("#prediction .headline")).not_to_have_text(before)
    bmi.fill("")
    expect(page.locator("#explanation")).to_contain_text("bmi missing")
    assert "NaN" in page.locator("#curl").text_content()
    page.get_by_role("button", name="Reset to typical values").click()
    expect(page.locator("#explanation")).to_contain_text("Change one")


def test_a_user_is_picked_and_an_item_has_neighbours(opened):
    page = opened(Recommender)
    expect(page.locator("#prediction tbody tr")).to_have_count(10)
    page.get_by_label("List length").fill("3")
    expect(page.locator("#prediction tbody tr")).to_have_count(3)
    item = page.locator("#prediction tbody button").nth(2)
    item.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#explanation h3")).to_have_text(f"Similar to {item.inner_text()}")
    assert page.locator("#explanation .similar li").count() == 8
    page.get_by_label("User", exact=True).fill("somebody else")
    expect(page.locator("#curl")).to_contain_text("somebody else")
    page.get_by_role("combobox", name="Selected item").fill("nothing known")
    expect(page.locator("#explanation")).to_contain_text("No similar items")


@pytest.mark.slow
def test_models_are_chosen_and_colours_are_kept(opened):
    page = opened(Text)
    page.get_by_role("link", name="regression").click()
    expect(page.locator("h1")).to_have_text("Enter a row")
    expect(page.get_by_role("link", name="regression")).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page.locator("h1")).to_have_text("Enter a text")
    page.get_by_role("button", name="Change to dark colours").click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    expect(page.get_by_role("button", name="Change to light colours")).to_be_visible()


def test_a_fault_of_the_server_is_told_in_its_words(opened):
    page = opened(Regression)
    told = '{"error": "bmi: not today"}'
    page.route("**/*:predict", lambda route: route.fulfill(status=400, body=told))
    page.get_by_label("bmi").fill("30")
    expect(page.get_by_role("alert")).to_have_text("bmi: not today")
    page.route("**/*:predict", lambda route: route.abort())
    page.get_by_label("bmi").fill("31")
    expect(page.get_by_role("alert")).to_contain_text("No response")
    page.unroute("**/*:predict")
    page.get_by_label("bmi").fill("32")
    expect(page.locator("#prediction .headline")).to_be_visible()
    # The browser itself tells of both.
    assert len(opened.wrong) == 2
    opened.wrong.clear()


@pytest.mark.parametrize("app", [Finetune, Regression, Text], ids=lambda app: app.name())
def test_an_answer_stands_though_it_cannot_be_explained(app, opened):
    page = opened(app)
    told = '{"error": "not today"}'

    def answer(route):
        # The second question is the explanation's: of many rows, or by its own signature.
        asked = json.loads(route.request.post_data)
        if asked.get("signature_name") == "explain" or len(asked["instances"]) > 1:
            route.fulfill(status=400, body=told)
        else:
            route.continue_()

    page.route("**/*:predict", answer)
    page.locator(".examples button").nth(1).click()
    expect(page.locator("#explanation")).to_contain_text("explanation failed: not today")
    expect(page.locator("#prediction .headline")).to_be_visible()
    assert page.get_by_role("alert").count() == 0
    assert len(opened.wrong) == 1
    opened.wrong.clear()


def test_large_whole_numbers_are_numbers_of_a_column(opened):
    page = opened(Regression)
    for number, written in (("16777216", "16777216.0"), ("30", "30"), ("-1e21", "-1e+21")):
        page.get_by_label("bmi").fill(number)
        expect(page.locator("#curl")).to_contain_text(f'"bmi":{written}')
        expect(page.locator("#prediction")).to_have_attribute("aria-busy", "false")
        expect(page.locator("#prediction .headline")).to_be_visible()


def made_of(page, columns, weights):
    """Show a linear model of these columns, which nobody serves, and what it is asked."""
    typical = {one["name"]: one["typical"] for one in columns}
    about = {
        "app": "made", "question": "row", "answer": "number", "labels": [], "columns": columns,
        "target": {"name": "price", "unit": ""}, "examples": [typical], "examples_from": "schema",
        "signatures": {"serving_default": {"inputs": {}, "outputs": {"value": {}}}},
        "remarks": ["This model loses to boosting"],
        "score": {"metric": "rmse", "value": 1, "low": 1, "high": 1},
    }  # fmt: skip
    told = json.dumps([{"name": "made", "version": 1, "about": about}])
    page.route("**/v1/models", lambda route: route.fulfill(body=told))

    def answer(route):
        rows = json.loads(route.request.post_data)["instances"]
        values = [sum(weight * row[name] for name, weight in weights.items()) for row in rows]
        route.fulfill(body=json.dumps({"predictions": values}))

    page.route("**/made:predict", answer)


def test_of_many_columns_those_that_matter_are_shown(browser, address):
    names = [f"c_{place}" for place in range(79)]
    columns = [
        {"name": name, "title": f"列 {name} %", "kind": "number"}
        | {"typical": 0.0, "low": -1.0, "high": 1.0}
        for name in names
    ]
    columns[5] |= {"typical": 13907.0, "low": 13168.0, "high": 14634.0, "unit": DAYS}
    page = browser.new_page(viewport=PHONE)
    made_of(page, columns, {"c_70": 9.0, "c_40": -5.0, "c_5": 0.001})
    page.goto(address)
    labels = page.locator("#input-body .field label")
    expect(labels.first).to_have_text("列 c_70 %")
    assert labels.all_inner_texts()[1:4] == ["列 c_40 %", "列 c_5 %", "列 c_0 %"]
    assert page.locator("#input-body .field:visible").count() == 12
    expect(page.get_by_text("13168 (2006-01-20) to 14634 (2010-01-25)")).to_be_visible()
    expect(page.locator("#score")).to_contain_text("loses to boosting")
    expect(page.locator("#explanation")).to_contain_text("Change one")
    page.get_by_label("列 c_40 %").fill("2")
    expect(page.locator("#explanation")).to_contain_text("列 c_40 % 2")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.close()


def test_another_version_is_shown_as_what_it_is(opened):
    page = opened(Regression)

    def newer(route):
        told = route.fetch().json()
        for one in told:
            one["version"] = 7
            if one["about"]["target"]:
                one["about"]["target"]["name"] = "another target"
        route.fulfill(json=told)

    page.route("**/v1/models", newer)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#score")).to_contain_text("Version 7")
    expect(page.locator("#prediction")).to_contain_text("another target")


def renewed(page, version):
    """Show the page again as if this version were served by now."""

    def newer(route):
        told = route.fetch().json()
        for one in told:
            one["version"] = version
        route.fulfill(json=told)

    page.route("**/v1/models", newer)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#score")).to_contain_text(f"Version {version}")
    expect(page.locator("#prediction .headline, #prediction table")).to_be_visible()
    expect(page.locator("#prediction")).to_have_attribute("aria-busy", "false")


@pytest.mark.parametrize(
    ("app", "label", "written"),
    [(Text, "Text", "kept words"), (Regression, "bmi", "31"), (Recommender, "User", "somebody")],
    ids=["text", "row", "ids"],
)
def test_what_is_typed_stays_when_a_version_comes(app, label, written, opened):
    page = opened(app)
    field = page.get_by_label(label, exact=True)
    field.fill(written)
    expect(page.locator("#curl")).to_contain_text(written)
    field.focus()
    renewed(page, 7)
    expect(field).to_have_value(written)
    expect(field).to_be_focused()
    expect(page.locator("#curl")).to_contain_text(written)


def test_what_is_missing_or_drawn_stays_too(opened):
    page = opened(Regression)
    page.get_by_label("bmi").fill("")
    expect(page.locator("#explanation")).to_contain_text("bmi missing")
    renewed(page, 7)
    expect(page.locator("#explanation")).to_contain_text("bmi missing")
    page = opened(Mnist)
    pad = page.locator(".pad")
    pad.focus()
    for key in ("Delete", "Space", "ArrowDown", "ArrowDown", "Space"):
        page.keyboard.press(key)
    expect(page.locator("#prediction .headline")).to_be_visible()
    drawn = pad.evaluate("pad => pad.toDataURL()")
    renewed(page, 7)
    assert pad.evaluate("pad => pad.toDataURL()") == drawn


@pytest.mark.parametrize("side", [30, 1500], ids=["sent as it is", "sent smaller"])
def test_a_photo_is_shown_and_sent_as_it_is_stored(side, opened, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter, says the camera
    path, draw = tmp_path / "photo.jpg", np.random.default_rng(0)
    pixels = draw.integers(0, 256, (side, 2 * side, 3), "uint8")
    Image.fromarray(pixels).save(path, exif=turned, quality=97)
    page = opened(Finetune)
    with page.expect_request("**/*:predict") as asked:
        page.locator("input[type=file]").set_input_files(path)
    (sent,) = json.loads(asked.value.post_data)["instances"]
    image = Image.open(io.BytesIO(base64.b64decode(sent["image_bytes"]["b64"])))
    assert (image.format == "PNG") == (side > 1000)
    assert image.width == 2 * image.height
    explained(page)
    box = page.locator(".drop img").bounding_box()
    assert box["width"] > 1.5 * box["height"]


def test_an_address_that_is_no_text_names_the_first_model(browser, address):
    page = browser.new_page()
    page.goto(f"{address}#%")
    expect(page.locator("#prediction .headline, #prediction table")).to_be_visible()
    page.close()


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ('{"models": []}', "No model is served"),
        ('{"models": [{"name": "a", "version": 1, "about": null}]}', "cannot show a"),
    ],
)
def test_what_cannot_be_asked_is_told(models, said, browser, address):
    page = browser.new_page()
    page.route("**/v1/models", lambda route: route.fulfill(status=200, body=models))
    page.goto(address)
    expect(page.locator("h1")).to_contain_text(said)
    page.close()
