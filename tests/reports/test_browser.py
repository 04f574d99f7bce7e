"""The page in a browser: clicked through, filtered, linked to, on a phone and printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fssbench.reports.page import write
from fssbench.reports.report import Options, make
from fssbench.reports.runs import read
from tests.reports.chromium import BROWSER, Browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine"),
]

SHOWN = "[...document.querySelectorAll('.episode')].filter(e => e.checkVisibility()).map(e => e.id)"


@pytest.fixture(scope="module")
def page(two_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write(make(read([two_runs]), Options(episodes=6, similarity=False)), path)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


def choose(browser: Browser, name: str, value: str) -> None:
    browser.value(
        f"(() => {{ const e = document.getElementById('{name}'); e.value = {value!r}; "
        "e.dispatchEvent(new Event('change', {bubbles: true})) })()"
    )


def test_episodes_are_sorted_filtered_linked_and_stepped_through(browser: Browser, page: Path) -> None:
    browser.open(page)
    ids = browser.value(SHOWN)
    assert len(ids) == 6
    means = "[...document.querySelectorAll('.episode')].map(e => Number(e.dataset.mean))"
    assert browser.value(means) == sorted(browser.value(means))
    choose(browser, "sort", "best")
    assert browser.value(means) == sorted(browser.value(means), reverse=True)
    # By one method: the IoU that its heading shows.
    choose(browser, "method", "1")
    ious = browser.value("[...document.querySelectorAll('.episode')].map(e => JSON.parse(e.dataset.ious)[1])")
    assert ious == sorted(ious, reverse=True)
    # A filter, and what it says.
    name = browser.value("JSON.parse(document.querySelector('.episode').dataset.classes)[0]")
    choose(browser, "class", name)
    kept = browser.value(SHOWN)
    assert 0 < len(kept) <= 6
    assert browser.value("document.getElementById('count').textContent") == f"{len(kept)} of 6 episodes"
    assert browser.value(f"{SHOWN}.every(id => document.getElementById(id).dataset.classes.includes({name!r}))")
    browser.click("#choose button[type=reset]")
    browser.until(f"{SHOWN}.length === 6")
    # Keys, and the link that they leave.
    browser.key("j")
    first = browser.value("location.hash")
    assert first == f"#{browser.value(SHOWN)[0]}"
    browser.key("j")
    assert browser.value("location.hash") == f"#{browser.value(SHOWN)[1]}"
    assert browser.value("document.activeElement.id") == browser.value(SHOWN)[1]
    browser.key("ArrowLeft")
    assert browser.value("location.hash") == first
    browser.key("?")
    assert browser.value("document.getElementById('help').open")
    browser.click("#help button")
    assert not browser.value("document.getElementById('help').open")
    # A link that is clicked.
    last = browser.value(SHOWN)[-1]
    browser.click(f"#{last} .link")
    assert browser.value("location.hash") == f"#{last}"
    # The button says so for a moment, which a busy machine may miss: its texts are kept.
    browser.value(
        "(() => { window.texts = []; "
        f"const button = document.querySelector('#{last} .copy'); "
        "new MutationObserver(() => texts.push(button.textContent)).observe(button, {childList: true}); })()"
    )
    browser.click(f"#{last} .copy")
    browser.until("texts.some((text) => /Copied|Selected/.test(text))")


def test_a_link_to_an_episode_undoes_the_filter_that_hides_it(browser: Browser, page: Path) -> None:
    browser.open(page)
    hidden, name = browser.value(
        "(() => { const all = [...document.querySelectorAll('.episode')]; const first = all[0].dataset.classes; "
        "const other = all.find(e => e.dataset.classes !== first); "
        "return [all[0].id, JSON.parse(other.dataset.classes)[0]] })()"
    )
    choose(browser, "class", name)
    assert hidden not in browser.value(SHOWN)
    browser.value(f"location.hash = '{hidden}'")
    browser.until(f"document.activeElement.id === '{hidden}'")
    assert len(browser.value(SHOWN)) == 6


def test_nothing_is_loaded_and_nothing_is_complained_of(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.value("document.querySelectorAll('.episode').forEach(e => e.scrollIntoView())")
    asked = [event["params"]["request"]["url"] for event in browser.events
             if event.get("method") == "Network.requestWillBeSent"]  # fmt: skip
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "about"}
    assert [url for url in asked if url.startswith("file:") and not url.endswith(page.name)] == []
    complaints = [event for event in browser.events
                  if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]  # fmt: skip
    assert complaints == []
    drawn = "[...document.querySelectorAll('.episode svg image')].every(e => e.getBBox().width > 0)"
    assert browser.value(drawn)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways_in_readable_colours(
    browser: Browser, page: Path, dark: bool
) -> None:
    browser.open(page, 390, 800, dark=dark)
    assert browser.value("document.documentElement.scrollWidth") <= 390
    # WCAG's contrast of text to its ground, for text and for what is softer.
    contrast = """
      (() => {
        const part = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
        const rgb = c => c.match(/[\\d.]+/g).map(v => part(Number(v)));
        const light = c => { const [r, g, b] = rgb(c); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
        const ground = light(getComputedStyle(document.body).backgroundColor);
        const texts = ['body', 'figcaption', 'nav a'].map(name => document.querySelector(name));
        const ratio = l => (Math.max(l, ground) + 0.05) / (Math.min(l, ground) + 0.05);
        return texts.map(e => ratio(light(getComputedStyle(e).color)));
      })()
    """
    assert min(browser.value(contrast)) >= 4.5
    assert browser.value("getComputedStyle(document.querySelector('.chart svg')).color") == browser.value(
        "getComputedStyle(document.body).color"
    )


def test_it_prints_without_its_controls(browser: Browser, page: Path, tmp_path: Path) -> None:
    browser.open(page, dark=True)
    browser.ask("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.value("getComputedStyle(document.getElementById('choose')).display") == "none"
        assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        browser.pdf(tmp_path / "report.pdf")
    finally:
        browser.ask("Emulation.setEmulatedMedia", media="")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
