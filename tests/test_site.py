"""The documentation as a site: complete, without dead links, from no other origin."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}

BROWSERS_OWN = {
    f"{scheme}://{host}"
    for scheme in ("http", "https")
    for host in (
        *("update.googleapis.com", "content-autofill.googleapis.com", "clients2.google.com", "accounts.google.com"),
        *("optimizationguide-pa.googleapis.com", "safebrowsing.googleapis.com", "www.google.com"),
    )
}
"""What Chromium asks for at every start, whatever page it shows."""


class _Loader(yaml.SafeLoader):
    """Reads names of Python functions as plain text."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda _loader, name, _node: name)


def navigation(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    for inner in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else ():
        yield from navigation(inner)


def test_every_page_is_in_the_navigation() -> None:
    configuration = yaml.load((PROJECT / "mkdocs.yml").read_text(), _Loader)
    pages = {str(path.relative_to(PROJECT / "docs")) for path in (PROJECT / "docs").rglob("*.md")}
    assert set(navigation(configuration["nav"])) == pages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("site")
    shutil.copytree(PROJECT / "docs", home / "docs")
    for name in ("mkdocs.yml", "CHANGELOG.md"):
        shutil.copy(PROJECT / name, home)
    built = subprocess.run(
        [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--config-file", "mkdocs.yml"],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return home / "site"


class Loads(HTMLParser):
    """Addresses that a page loads by itself; links that a reader may follow are none."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "link" and known.get("rel") in ("canonical", "next", "prev"):
            return
        self.found += [value for name, value in attrs if (tag, name) in LOADED and value]


@pytest.mark.slow
def test_no_page_loads_anything_from_another_origin(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        parser = Loads()
        parser.feed(page.read_text())
        assert parser.found
        assert not [address for address in parser.found if re.match(r"(https?:)?//", address)], page


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-q", "chromium"], capture_output=True, timeout=600)
    return shutil.which("chromium") or pytest.skip("there is no Chromium, and it could not be installed")


@pytest.mark.soak
def test_a_browser_draws_the_diagrams_and_asks_nobody_else(site: Path, tmp_path: Path) -> None:
    browser = chromium()
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_words: object) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shown = subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
                *("--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path}"),
                *("--virtual-time-budget=20000", f"--log-net-log={tmp_path}/net.json", "--dump-dom"),
                f"http://127.0.0.1:{server.server_port}/concepts/",
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        server.shutdown()
    # A drawn diagram stands in a shadow root, which is closed; its source is gone from the page.
    assert '<pre class="mermaid">' not in shown.stdout
    assert shown.stdout.count('<div class="mermaid"') == 3
    assert "/assets/mermaid.min.js" in asked
    addresses = set(re.findall(r'"url":"(https?://[^/"]+)', (tmp_path / "net.json").read_text()))
    assert {address for address in addresses if "127.0.0.1" not in address} <= BROWSERS_OWN
