"""The page of gan-report in a browser: it asks nothing of the network, and everything on it can be worked by hand."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gan_cli.commands.report import page
from gan_cli.commands.report.report import make
from tests.helpers import synthetic_runs as synthetic

selenium = pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[dev]'")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not installed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of selenium's sockets
]

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)


class Browser:
    """A page in headless Chromium."""

    def __init__(self, driver: webdriver.Chrome, path: Path) -> None:
        self.driver = driver
        self.uri = path.as_uri()

    def open(self) -> None:
        self.driver.get("about:blank")
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(self.uri)
        WebDriverWait(self.driver, 10).until(lambda _: self.all("#data + script"))

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def emulate(self, scheme: str = "light", width: int = 1200, media: str = "") -> None:
        """A colour scheme that the system prefers, and the width of the screen."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        screen = {"width": width, "height": 850, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    def requests(self) -> list[str]:
        """The addresses that were asked for, less those that the page holds itself."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent if not params["request"]["url"].startswith("data:")]

    def shown_plot(self, index: int = 0) -> WebElement:
        """A plot, scrolled to and drawn."""
        plot = self.all(".plot")[index]
        self.run("arguments[0].scrollIntoView({block: 'center'})", plot)
        WebDriverWait(self.driver, 10).until(lambda _: plot.find_elements(By.CSS_SELECTOR, "svg path.curve"))
        return plot


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The page of a sweep of three divergences and three seeds; one run diverged, one is infinitely far off."""
    folder = tmp_path_factory.mktemp("sweep")
    pictures = {step: synthetic.digits(step) for step in (10, 50, 100)}
    for divergence in synthetic.DIVERGENCES:
        for seed in range(3):
            lines = synthetic.metrics(modes=seed + 3, exact="Infinity" if seed == 1 else 0.2, exact_error=0.02)
            broken = {"status": "diverged", "error": "diverged: critic_loss is nan"} if divergence == "kl" else None
            synthetic.write(
                folder / f"divergence={divergence},seed={seed}",
                divergence,
                seed,
                record=broken if seed == 2 else None,
                lines=lines,
                receipts=[synthetic.receipt()],
                pictures=pictures,
            )
    path = folder / "report.html"
    path.write_text(page.html(make([folder])), encoding="utf-8")
    return path


@pytest.fixture
def browser(driver, report) -> Browser:
    opened = Browser(driver, report)
    opened.emulate()
    opened.open()
    return opened


@pytest.mark.thorough
def test_it_opens_without_an_error_and_without_the_network(browser):
    for index in range(len(browser.all(".plot"))):
        browser.shown_plot(index)
    assert browser.driver.get_log("browser") == []
    assert browser.requests() == [browser.uri]
    assert len(browser.all("#runs tbody tr[data-run]")) == 9


def test_the_network_is_out_of_reach_even_for_a_script(browser):
    blocked = browser.driver.execute_async_script(
        "const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('fetched'), () => done('refused'))"
    )
    assert blocked == "refused"
    assert any("Content Security Policy" in entry["message"] for entry in browser.driver.get_log("browser"))


def test_the_slider_moves_every_runs_picture_by_the_arrow_keys(browser):
    def steps() -> list[str]:
        return [image.get_attribute("data-step") for image in browser.all(".samples img") if image.is_displayed()]

    slider = browser.one("#step")
    assert steps() == ["100"] * 9
    slider.send_keys(Keys.ARROW_LEFT)
    assert steps() == ["50"] * 9
    assert slider.get_attribute("aria-valuetext") == "step 50"
    slider.send_keys(Keys.HOME)
    assert steps() == ["10"] * 9
    assert browser.one(".samples figcaption").text.endswith("step 10")
    slider.send_keys(Keys.END)
    assert steps() == ["100"] * 9


def test_the_pictures_arrive_pixel_by_pixel(browser):
    image = browser.all(".samples img")[2]
    size = browser.run("return [arguments[0].naturalWidth, getComputedStyle(arguments[0]).imageRendering]", image)
    assert size == [242, "pixelated"]


def test_the_legend_hides_and_shows_runs_everywhere(browser):
    plot = browser.shown_plot()
    button = browser.one('#legend button[data-run="0"]')
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert not plot.find_elements(By.CSS_SELECTOR, '[data-run="0"]')
    assert plot.find_elements(By.CSS_SELECTOR, '[data-run="1"]')
    assert not browser.one('.samples figure[data-run="0"]').is_displayed()
    button.send_keys(Keys.ENTER)
    assert plot.find_elements(By.CSS_SELECTOR, '[data-run="0"]')
    assert browser.one('.samples figure[data-run="0"]').is_displayed()
    browser.one('[data-show="none"]').click()
    assert not plot.find_elements(By.CSS_SELECTOR, "[data-run]")
    browser.one('[data-show="all"]').click()
    assert len(browser.all('#legend [aria-pressed="true"]')) == 9


def test_values_are_read_by_pointer_and_by_keys(browser):
    plot = browser.shown_plot()
    reading = plot.find_element(By.XPATH, "..").find_element(By.CLASS_NAME, "reading")
    webdriver.ActionChains(browser.driver).move_to_element(plot).perform()
    assert "gan, seed 0 estimate" in reading.text
    webdriver.ActionChains(browser.driver).move_to_element(browser.one("h2")).perform()
    assert reading.text == ""
    plot.send_keys(Keys.END)
    assert reading.text.startswith("step 100:")
    assert "exact 0.2 ± 0.0392" in reading.text
    assert "exact ∞" in reading.text
    plot.send_keys(Keys.ARROW_LEFT)
    assert reading.text.startswith("step 90:")


def test_curves_under_attack_are_read_at_their_sizes(driver, tmp_path):
    for seed, errors in enumerate(((0.02, 0.5), (0.5, 1.0))):
        receipts = [
            synthetic.receipt(
                metric=f"attack fgsm:epsilon={size}",
                options={"epsilon": size},
                numbers={f"error/fgsm:epsilon={size}": {"value": error, "error": 0.02, "real": None}},
            )
            for size, error in zip((0, 0.1), errors, strict=True)
        ]
        synthetic.write(tmp_path / str(seed), receipts=receipts, lines=[], seed=seed)
    path = tmp_path / "report.html"
    path.write_text(page.html(make([tmp_path])), encoding="utf-8")
    browser = Browser(driver, path)
    browser.emulate()
    browser.open()
    plot = browser.shown_plot()
    assert len(plot.find_elements(By.CSS_SELECTOR, "circle.joined")) == 4
    reading = plot.find_element(By.XPATH, "..").find_element(By.CLASS_NAME, "reading")
    plot.send_keys(Keys.END)
    assert reading.text == "ε 0.1: seed 0 50 ± 3.92seed 1 100 [96.08, 100]"
    plot.send_keys(Keys.ARROW_LEFT)
    assert reading.text == "ε 0: seed 0 2 [0, 5.92]seed 1 50 ± 3.92"
    assert [cell.text for cell in browser.all("#attacks td strong")] == ["2.0 [0.0, 5.9]", "50.0 ± 3.9"]
    browser.one('[data-show="none"]').click()
    assert not plot.find_elements(By.CSS_SELECTOR, "[data-run]")
    assert browser.driver.get_log("browser") == []


def test_an_infinite_value_is_drawn_at_the_edge(browser):
    plot = browser.shown_plot()
    assert plot.find_elements(By.CSS_SELECTOR, 'g[data-run="1"] path.dots')
    assert not plot.find_elements(By.CSS_SELECTOR, 'g[data-run="0"] path.dots')
    assert "NaN" not in plot.get_attribute("innerHTML")


def test_a_logarithmic_panel_can_be_made_linear(browser):
    index = next(
        i for i, box in enumerate(browser.all(".plot")) if "generator_gradient" in box.get_attribute("aria-label")
    )
    plot = browser.shown_plot(index)
    button = plot.find_element(By.XPATH, "..").find_element(By.CLASS_NAME, "scale")
    before = plot.get_attribute("innerHTML")
    assert button.text == "log"
    button.click()
    assert button.text == "linear"
    assert plot.get_attribute("innerHTML") != before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_systems_colours_and_can_be_told_otherwise(browser, scheme):
    def is_dark() -> bool:
        red = browser.run("return Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])")
        return red < 128

    browser.emulate(scheme)
    assert is_dark() == (scheme == "dark")
    button = browser.one("#theme")
    seen = []
    for _ in range(3):
        button.click()
        seen.append((button.text, is_dark()))
    assert seen == [("Theme: light", False), ("Theme: dark", True), ("Theme: as the system", scheme == "dark")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(browser, scheme):
    browser.emulate(scheme)
    contrasts = browser.run(
        """
        const light = (colour) => {
          const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255);
          const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const paper = light(getComputedStyle(document.body).backgroundColor);
        const contrast = (selector) => {
          const ink = light(getComputedStyle(document.querySelector(selector)).color);
          return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        };
        const words = ["body", "small", "summary", ".word.done", ".word.diverged"].map(contrast);
        const colours = [...Array(8).keys()].map((index) => contrast(`.colour-${index}`));
        return [Math.min(...words), Math.min(...colours)];
        """
    )
    assert contrasts[0] >= 4.5  # WCAG 2.2, 1.4.3: text
    assert contrasts[1] >= 2.4  # below 1.4.11's 3: eight colours that differ for any eye leave no more room


def test_a_narrow_screen_scrolls_the_table_and_not_the_page(browser):
    browser.emulate(width=390)
    browser.open()
    for index in range(len(browser.all(".plot"))):
        browser.shown_plot(index)
    browser.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    assert browser.run("const box = document.querySelector('#runs .scroll'); return box.scrollWidth > box.clientWidth")


def test_the_names_of_runs_stay_in_sight_while_the_table_scrolls(browser):
    browser.emulate(width=390)
    browser.open()
    box, name, number = browser.run(
        """
        const box = document.querySelector("#runs .scroll");
        box.scrollLeft = box.scrollWidth;
        const row = box.querySelector("tbody tr");
        const place = (element) => element.getBoundingClientRect().toJSON();
        return [box, row.firstElementChild, row.lastElementChild].map(place);
        """
    )
    assert abs(name["left"] - box["left"]) <= 2
    assert name["right"] < number["right"] <= box["right"]
    assert name["width"] < box["width"] / 2


def test_a_long_heading_leaves_the_row_of_headings_low(browser):
    def height() -> float:
        return browser.run("return document.querySelector('#runs thead').getBoundingClientRect().height")

    before = height()
    browser.run("document.querySelector('#runs thead small').textContent = 'samples.real 10000, '.repeat(20)")
    assert height() <= before + 50
    assert browser.run("return document.querySelector('#runs thead small').getBoundingClientRect().width") < 260


def test_the_tabulator_key_visits_everything_in_order(browser):
    browser.run("document.activeElement.blur()")
    visited: list[list[str]] = []
    for _ in range(200):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        at = browser.run(
            "const e = document.activeElement;"
            "const name = e.id || e.className || e.dataset.run || e.dataset.show || '';"
            "return [e.tagName, name, getComputedStyle(e).outlineStyle]"
        )
        if at[0] == "BODY" or (visited and at[1] == "skip"):
            break
        visited.append(at)
    names = [name for _, name, _ in visited]
    assert names[:2] == ["skip", "theme"]
    assert names.index("0") < names.index("scroll") < names.index("step") < names.index("plot")
    assert names.count("plot") == len(browser.all(".plot"))
    assert all(outline != "none" for _, _, outline in visited)


def test_on_paper_everything_is_unfolded_and_drawn(browser):
    browser.emulate("dark", media="print")
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    assert all(box.find_elements(By.CSS_SELECTOR, "svg") for box in browser.all(".plot"))
    assert all(details.get_attribute("open") for details in browser.all("details"))
    assert not browser.one("#legend").is_displayed()
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_a_script_the_table_and_the_newest_pictures_stand(browser):
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.driver.get(browser.uri)
        assert len(browser.all("#runs tbody tr[data-run]")) == 9
        assert [len(browser.all(f'img[data-step="{step}"]:not([hidden])')) for step in (50, 100)] == [0, 9]
        assert "need JavaScript" in browser.one("noscript").get_attribute("textContent")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
