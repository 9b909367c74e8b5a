"""Write the tables of docs/divergences.md from the docstrings of the divergences: `make docs`."""

import re
from pathlib import Path

from gan_cli.commands.divergence import formulas, listing
from gan_cli.config import options

PAGE = Path(__file__).parent.parent / "docs" / "divergences.md"


def tables() -> list[str]:
    """What `gan-divergence list --format markdown` prints, table by table."""
    return listing.as_markdown([formulas.of(name) for name in options.names("divergence")]).split("\n\n")


def with_tables(page: str) -> str:
    """The page, each table in the place of the one that has the same heading."""
    for table in tables():
        heading = re.escape(table.partition("\n")[0])
        (old,) = re.finditer(rf"^{heading}\n(\|.*\n)*", page, re.MULTILINE)
        page = f"{page[: old.start()]}{table}\n{page[old.end() :]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
