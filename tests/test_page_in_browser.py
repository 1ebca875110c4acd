"""The page in a real browser: inputs, predictions and explanations of each modality."""

import base64
import io
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

import apps
from apps import Finetune, Mnist, Recommender, Regression, Text

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not CHROMIUM, reason="needs the program chromium"),
]
CHROMIUM_FLAGS = [
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
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, address):
    """A function that opens the page of an app; the page must have no errors."""
    errors, contexts = [], []

    def listen(page):
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: message.type != "info" and errors.append(message.text))
        page.on("request", lambda request: is_own(request.url) or errors.append(request.url))

    def is_own(url):
        return url.startswith((address, "data:", "blob:"))

    def open_page(app, **options):
        context = browser.new_context(**{"viewport": WIDE} | options)
        contexts.append(context)
        page = context.new_page()
        listen(page)
        page.goto(f"{address}#{app.name()}")
        expect(page.locator("#prediction .headline, #prediction table")).to_be_visible()
        expect(page.locator("#prediction")).to_have_attribute("aria-busy", "false")
        return page

    open_page.errors = errors
    yield open_page
    for context in contexts:
        context.close()
    assert not errors


def explanation(page):
    """Wait for the explanation, and return it."""
    expect(page.locator("#explanation-card")).to_be_visible()
    expect(page.locator("#explanation")).to_have_attribute("aria-busy", "false")
    return page.locator("#explanation")


def headline(page):
    return page.locator("#prediction .headline").inner_text()


@each_app
def test_a_page_predicts_explains_and_fits_a_phone_in_dark_colours(app, opened):
    page = opened(app, viewport=PHONE, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    behind, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert sum(map(int, re.findall(r"\d+", behind))) < 150 < sum(map(int, re.findall(r"\d+", ink)))
    assert page.locator("#curl").text_content().startswith(("curl ", "echo "))
    assert app.name() in page.locator("#curl").text_content()
    if app is not Mnist:  # a tiny perceptron has no Grad-CAM
        assert explanation(page).inner_text()
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
    explanation(page)
    assert (
        page.locator("#explanation canvas")
        .get_attribute("aria-label")
        .startswith("Strongest support for ")
    )
    for event in ("drop", "paste"):
        page.evaluate(DROP_OR_PASTE, [event, list(path.read_bytes())])
        expect(page.locator("#curl")).to_contain_text(f"{event}.png")
    label = page.locator("#prediction .bar").nth(2)
    label.click()
    expect(label).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#explanation-title")).to_contain_text(label.get_attribute("data-label"))


DROP_OR_PASTE = """([event, bytes]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], `${event}.png`, { type: "image/png" }));
  const Kind = event === "drop" ? DragEvent : ClipboardEvent;
  const name = event === "drop" ? "dataTransfer" : "clipboardData";
  const given = new Kind(event, { [name]: transfer, bubbles: true, cancelable: true });
  (event === "drop" ? document.querySelector(".drop") : document).dispatchEvent(given);
}"""


def test_a_file_that_is_no_image_gets_a_message(opened, tmp_path):
    page = opened(Finetune)
    path = tmp_path / "notes.txt"
    path.write_text("no image")
    page.locator("input[type=file]").set_input_files(path)
    expect(page.get_by_role("alert")).to_contain_text("notes.txt is not an image")


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


def test_a_row_is_filled_in_and_each_column_has_an_effect(opened):
    page = opened(Regression)
    assert "typical values" in explanation(page).inner_text()
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


def test_a_user_is_chosen_and_an_item_has_similar_ones(opened):
    page = opened(Recommender)
    expect(page.locator("#prediction tbody tr")).to_have_count(10)
    page.get_by_label("List length").fill("3")
    expect(page.locator("#prediction tbody tr")).to_have_count(3)
    item = page.locator("#prediction tbody button").nth(2)
    item.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#explanation h3")).to_have_text(f"Similar to {item.inner_text()}")
    assert page.locator("#explanation .similar li").count() == 8
    page.get_by_label("User", exact=True).fill("unknown user")
    expect(page.locator("#curl")).to_contain_text("unknown user")
    page.get_by_role("combobox", name="Selected item").fill("nothing known")
    expect(page.locator("#explanation")).to_contain_text("No similar items")


def test_liked_items_and_filters_change_a_list(opened):
    page = opened(Recommender)
    items = page.locator("#prediction tbody th button")
    first = items.nth(0).inner_text()
    page.get_by_text("Filters and diversity").click()
    page.get_by_role("combobox", name="Leave out").fill(first)
    page.keyboard.press("Enter")
    expect(items.nth(0)).not_to_have_text(first)
    expect(page.locator("#curl")).to_contain_text(f'"exclude":["{first}"]')
    page.get_by_role("button", name=f"{first} (remove)").click()
    expect(items.nth(0)).to_have_text(first)
    page.get_by_label("Diversity").fill("0.7")
    expect(page.locator("#curl")).to_contain_text('"diversity":0.7')
    liked = page.get_by_role("combobox", name="Liked items")
    for item in ("item 3", "no such item"):
        liked.fill(item)
        liked.press("Enter")
    expect(page.locator("#curl")).to_contain_text('"liked":[["item 3","no such item"]]')
    expect(page.locator("#prediction")).to_contain_text("Unknown items are ignored: no such item")
    expect(page.locator("#prediction .because").first).to_have_text("like item 3")
    assert "item 3" not in items.all_inner_texts()
    assert not page.get_by_label("User", exact=True).input_value()
    page.get_by_label("User", exact=True).fill("user 1")
    expect(page.locator("#curl")).to_contain_text('"user":["user 1"]')
    assert page.get_by_role("button", name="item 3 (remove)").count() == 0


@pytest.mark.slow
def test_models_are_chosen_and_the_theme_is_stored(opened):
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


def test_an_error_of_the_server_is_shown(opened):
    page = opened(Regression)
    body = '{"error": "bmi: not today"}'
    page.route("**/*:predict", lambda route: route.fulfill(status=400, body=body))
    page.get_by_label("bmi").fill("30")
    expect(page.get_by_role("alert")).to_have_text("bmi: not today")
    page.route("**/*:predict", lambda route: route.abort())
    page.get_by_label("bmi").fill("31")
    expect(page.get_by_role("alert")).to_contain_text("No response")
    page.unroute("**/*:predict")
    page.get_by_label("bmi").fill("32")
    expect(page.locator("#prediction .headline")).to_be_visible()
    # The browser logs both errors itself.
    assert len(opened.errors) == 2
    opened.errors.clear()


@pytest.mark.parametrize("app", [Finetune, Regression, Text], ids=lambda app: app.name())
def test_a_prediction_stays_when_its_explanation_fails(app, opened):
    page = opened(app)
    body = '{"error": "not today"}'

    def respond(route):
        # The second request is for the explanation: of many rows, or to its own signature.
        request = json.loads(route.request.post_data)
        if request.get("signature_name") == "explain" or len(request["instances"]) > 1:
            route.fulfill(status=400, body=body)
        else:
            route.continue_()

    page.route("**/*:predict", respond)
    page.locator(".examples button").nth(1).click()
    expect(page.locator("#explanation")).to_contain_text("explanation failed: not today")
    expect(page.locator("#prediction .headline")).to_be_visible()
    assert page.get_by_role("alert").count() == 0
    assert len(opened.errors) == 1
    opened.errors.clear()


def test_large_whole_numbers_are_sent_as_floats(opened):
    page = opened(Regression)
    for number, written in (("16777216", "16777216.0"), ("30", "30"), ("-1e21", "-1e+21")):
        page.get_by_label("bmi").fill(number)
        expect(page.locator("#curl")).to_contain_text(f'"bmi":{written}')
        expect(page.locator("#prediction")).to_have_attribute("aria-busy", "false")
        expect(page.locator("#prediction .headline")).to_be_visible()


def mock_server(page, columns, weights):
    """Let the page see a server of a linear model of these columns."""
    typical = {one["name"]: one["typical"] for one in columns}
    about = {
        "app": "linear", "question": "row", "answer": "number", "labels": [], "columns": columns,
        "target": {"name": "price", "unit": ""}, "examples": [typical], "examples_from": "schema",
        "signatures": {"serving_default": {"inputs": {}, "outputs": {"value": {}}}},
        "remarks": ["This model loses to boosting"],
        "score": {"metric": "rmse", "value": 1, "low": 1, "high": 1},
    }  # fmt: skip
    models = json.dumps([{"name": "linear", "version": 1, "about": about}])
    page.route("**/v1/models", lambda route: route.fulfill(body=models))

    def respond(route):
        rows = json.loads(route.request.post_data)["instances"]
        values = [sum(weight * row[name] for name, weight in weights.items()) for row in rows]
        route.fulfill(body=json.dumps({"predictions": values}))

    page.route("**/linear:predict", respond)


def test_of_many_columns_those_with_the_largest_effect_are_shown(browser, address):
    names = [f"c_{place}" for place in range(79)]
    columns = [
        {"name": name, "title": f"列 {name} %", "kind": "number"}
        | {"typical": 0.0, "low": -1.0, "high": 1.0}
        for name in names
    ]
    columns[5] |= {"typical": 13907.0, "low": 13168.0, "high": 14634.0, "unit": DAYS}
    page = browser.new_page(viewport=PHONE)
    mock_server(page, columns, {"c_70": 9.0, "c_40": -5.0, "c_5": 0.001})
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


def test_a_new_version_is_shown(opened):
    page = opened(Regression)

    def newer(route):
        models = route.fetch().json()
        for one in models:
            one["version"] = 7
            if one["about"]["target"]:
                one["about"]["target"]["name"] = "another target"
        route.fulfill(json=models)

    page.route("**/v1/models", newer)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#score")).to_contain_text("Version 7")
    expect(page.locator("#prediction")).to_contain_text("another target")


def show_version(page, version):
    """Let the page see a new version, and wait for its prediction."""

    def newer(route):
        models = route.fetch().json()
        for one in models:
            one["version"] = version
        route.fulfill(json=models)

    page.route("**/v1/models", newer)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#score")).to_contain_text(f"Version {version}")
    expect(page.locator("#prediction .headline, #prediction table")).to_be_visible()
    expect(page.locator("#prediction")).to_have_attribute("aria-busy", "false")


@pytest.mark.parametrize(
    ("app", "label", "value"),
    [(Text, "Text", "some words"), (Regression, "bmi", "31"), (Recommender, "User", "new user")],
    ids=["text", "row", "ids"],
)
def test_typed_input_stays_when_a_new_version_is_served(app, label, value, opened):
    page = opened(app)
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    expect(page.locator("#curl")).to_contain_text(value)
    field.focus()
    show_version(page, 7)
    expect(field).to_have_value(value)
    expect(field).to_be_focused()
    expect(page.locator("#curl")).to_contain_text(value)


def test_missing_and_drawn_input_stays_too(opened):
    page = opened(Regression)
    page.get_by_label("bmi").fill("")
    expect(page.locator("#explanation")).to_contain_text("bmi missing")
    show_version(page, 7)
    expect(page.locator("#explanation")).to_contain_text("bmi missing")
    page = opened(Mnist)
    pad = page.locator(".pad")
    pad.focus()
    for key in ("Delete", "Space", "ArrowDown", "ArrowDown", "Space"):
        page.keyboard.press(key)
    expect(page.locator("#prediction .headline")).to_be_visible()
    drawn = pad.evaluate("pad => pad.toDataURL()")
    show_version(page, 7)
    assert pad.evaluate("pad => pad.toDataURL()") == drawn


@pytest.mark.parametrize("side", [30, 1500], ids=["sent as it is", "sent smaller"])
def test_a_photo_is_shown_and_sent_upright(side, opened, tmp_path):
    rotated = Image.Exif()
    rotated[0x0112] = 6  # orientation: a quarter turn
    path, draw = tmp_path / "photo.jpg", np.random.default_rng(0)
    pixels = draw.integers(0, 256, (side, 2 * side, 3), "uint8")
    Image.fromarray(pixels).save(path, exif=rotated, quality=97)
    page = opened(Finetune)
    with page.expect_request("**/*:predict") as request:
        page.locator("input[type=file]").set_input_files(path)
    (sent,) = json.loads(request.value.post_data)["instances"]
    image = Image.open(io.BytesIO(base64.b64decode(sent["image_bytes"]["b64"])))
    assert (image.format == "PNG") == (side > 1000)
    image = ImageOps.exif_transpose(image)
    assert image.height == 2 * image.width
    explanation(page)
    box = page.locator(".drop img").bounding_box()
    assert box["height"] > box["width"]


def test_an_invalid_hash_shows_the_first_model(browser, address):
    page = browser.new_page()
    page.goto(f"{address}#%")
    expect(page.locator("#prediction .headline, #prediction table")).to_be_visible()
    page.close()


@pytest.mark.parametrize(
    ("models", "title"),
    [
        ('{"models": []}', "No model is served"),
        ('{"models": [{"name": "a", "version": 1, "about": null}]}', "cannot show a"),
    ],
)
def test_missing_and_unknown_models_are_reported(models, title, browser, address):
    page = browser.new_page()
    page.route("**/v1/models", lambda route: route.fulfill(status=200, body=models))
    page.goto(address)
    expect(page.locator("h1")).to_contain_text(title)
    page.close()
