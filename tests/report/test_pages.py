"""Every page that we write, opened in a real browser: nothing missing, nothing cut off."""

import os
import shutil
import warnings

import numpy as np
import pytest
from bench_fakes import results_of
from report_fakes import random_report
from selenium import webdriver

from tf_medyate.bench.analyse.report import write
from tf_medyate.bench.plan.suites import get_suite
from tf_medyate.report.board import BoardStory, save_story

NARROW, WIDE = 420, 1280

# What does not end inside the window, or hides a part of itself; a table may scroll.
CUT_OFF = """
return [...document.body.querySelectorAll("*")].filter(element => {
  const box = element.getBoundingClientRect();
  const hides = getComputedStyle(element).overflowX !== "visible";
  if (element.matches(".scroll")) return box.right > innerWidth || !hides;
  if (element.closest(".scroll")) return false;
  return box.right > innerWidth + 0.5 || (hides && element.scrollWidth > element.clientWidth);
}).map(element => element.outerHTML.slice(0, 200));
"""
SCROLLING = """
return [...document.querySelectorAll(".scroll")]
  .filter(element => element.scrollWidth > element.clientWidth + 1)
  .map(element => element.getAttribute("aria-label"));
"""
MISSING = """
const broken = image => image.decode().then(() => null, () => image.alt);
return Promise.all([...document.images].map(broken)).then(found => found.filter(alt => alt));
"""


@pytest.fixture(scope="module")
def browser():
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(programs):
        text = "NOT RUN: no chromium with its driver here (tools/install_browser)"
        warnings.warn(text, stacklevel=2)
        pytest.skip(text)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    options.add_argument("--headless=new")
    options.add_argument("--disable-dev-shm-usage")  # containers have little of it
    if os.getuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


def look(browser, path, width, scheme="light"):
    """Opens a page in a window of a width; returns what is wrong with it."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(path.as_uri())
    scrolling = browser.execute_script(SCROLLING) if width >= WIDE else []
    found = {
        "console": [entry["message"] for entry in browser.get_log("browser")],
        "cut off": browser.execute_script(CUT_OFF),
        "hidden in a wide window": scrolling,
        "missing pictures": browser.execute_script(MISSING),
    }
    return {what: items for what, items in found.items() if items}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    names = ("stem", "block_13_expand_relu_and_a_name_that_does_not_end", "mix", "head")
    effects = {"medyate": 0.02, "lara-trady": 0.01, "s-topk-random": 0.0, "head": -0.1}
    results = results_of(effects, folds=3, datasets=("digits", "japanese_vowels"), seeds=1)
    facts = [("after a power cut in a commit", "95.6% " + "bit for bit " * 12), ("RAM", "34.7 KiB")]
    story = BoardStory("A watch learned its wearer", np.linspace(2, 0.1, 60), 20, facts)
    return {
        "report": random_report(30, names=names).save_html(folder / "report.html"),
        "bench": write(results, get_suite("tiny"), folder / "bench")[0],
        "board": save_story(story, folder),
    }


@pytest.mark.parametrize("name", ["report", "bench", "board"])
def test_a_page_is_whole_in_windows_narrow_and_wide(browser, pages, name):
    for width, scheme in ((NARROW, "light"), (WIDE, "light"), (WIDE, "dark")):
        assert look(browser, pages[name], width, scheme) == {}, (width, scheme)


def test_what_is_wrong_would_be_found(browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<p style='width:800px'>wide</p><p style='overflow:hidden;width:9px'>hidden</p>"
        "<img src='nothing.png' alt='gone'><script>nothing()</script>"
    )
    found = look(browser, page, NARROW)
    assert len(found["cut off"]) == 2
    assert found["missing pictures"] == ["gone"]
    assert any("nothing is not defined" in message for message in found["console"])
