"""What the pages link to is there."""

import json
import re
from pathlib import Path

import pytest

from bench import table

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"(?:\]\(|<img src=\")([^)#\s\"]+)")
NAMED = re.compile(r"`((?:gan_cli|configs|tests|bench|docs|scripts)/[\w/.-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_repository_leads_somewhere(page):
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_is_there(page):
    assert [path for path in NAMED.findall(page.read_text()) if not (ROOT / path).exists()] == []


def test_the_tree_that_contributing_prints_is_that_of_the_package():
    printed = re.search(r"^    gan_cli/\n((?: {6}.*\n)+)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert printed is not None
    folders = [path.parent.name for path in (ROOT / "gan_cli").glob("*/__init__.py")]
    modules = [path.name for path in (ROOT / "gan_cli").glob("[!_]*.py")]
    assert sorted(re.findall(r"^ {6}(\w+)/ ", printed[1], re.MULTILINE)) == sorted(folders)
    assert sorted(re.findall(r"(\w+\.py)(?= |$)", printed[1], re.MULTILINE)) == sorted(modules)


def test_every_figure_is_shown_somewhere():
    shown = {link for page in PAGES for link in LINK.findall(page.read_text())}
    figures = {path.name for path in (ROOT / "docs").rglob("*.png")}
    assert figures <= {Path(link).name for link in shown}


@pytest.mark.parametrize("path", sorted((ROOT / "bench" / "results").glob("*.json")), ids=lambda path: path.name)
def test_every_measurement_has_its_table(path):
    result = json.loads(path.read_text())
    assert all(row["workload"] in table.of(result) for row in result["rows"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_an_unfilled_blank(page):
    assert not re.search(r"@[A-Z_]+@|TODO|FIXME", page.read_text())
