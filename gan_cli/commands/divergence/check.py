"""The laws of divergences, measured and shown as a table."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gan_cli.commands.divergence import laws
from gan_cli.commands.divergence.law import Law
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.strictly_convex import LINKS, StrictlyConvex
from gan_cli.errors import CommandError, ConfigError
from gan_cli.show.tables import aligned

WIDTH = 100


@dataclass(frozen=True)
class Checked:
    """The error of a divergence under each law, None where the law has nothing to say."""

    name: str
    errors: Mapping[str, float | None]

    def breaks(self, law: Law) -> bool:
        """Whether the error is above the law's tolerance."""
        error = self.errors[law.name]
        return error is not None and not error <= law.tolerance

    def cell(self, law: Law) -> str:
        error = self.errors[law.name]
        return "–" if error is None else f"{error:.1g}{'!' if self.breaks(law) else ''}"


def measure(name: str, divergence: Divergence) -> Checked:
    """Every law of one divergence. Raises `ConfigError` where a formula cannot be computed."""
    errors = {}
    for law in laws.LAWS:
        try:
            errors[law.name] = law.error(divergence)
        except Exception as error:  # whatever somebody's own formula trips over
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ConfigError(f"{name}: {law.name} cannot be computed: {reason}") from error
    return Checked(name, errors)


def with_links(divergences: Mapping[str, Divergence]) -> dict[str, Divergence]:
    """The divergences, and each that has several links with the others too, under names such as kl:link=paper."""
    shown: dict[str, Divergence] = {}
    for name, divergence in divergences.items():
        shown[name] = divergence
        if isinstance(divergence, StrictlyConvex) and "link=" not in name:
            others = (link for link in LINKS if link != divergence.link)
            shown |= {f"{name}:link={link}": replace(divergence, link=link) for link in others}
    return shown


def as_text(rows: Sequence[Checked]) -> str:
    """The largest errors beside each other, no line wider than 100 columns, and what each law says."""
    indent = " " * (max(len(law.name) for law in laws.LAWS) + 2)
    legend = [
        textwrap.fill(law.statement, WIDTH, initial_indent=f"{law.name:{len(indent)}}", subsequent_indent=indent)
        for law in laws.LAWS
    ]
    return "\n\n".join([*_tables(rows), "\n".join(legend)])


def raise_if_broken(rows: Sequence[Checked]) -> None:
    """Raise `CommandError` with every law that a divergence breaks."""
    broken = [
        f"{row.name} breaks {law.name} ({row.errors[law.name]:.2g} > {law.tolerance:g})"
        for row in rows
        for law in laws.LAWS
        if row.breaks(law)
    ]
    if broken:
        raise CommandError("; ".join(broken))


def _tables(rows: Sequence[Checked]) -> list[str]:
    """The laws in as few tables, of about as many laws each, as keep within the width."""
    for size in (-(-len(laws.LAWS) // count) for count in range(1, len(laws.LAWS) + 1)):
        tables = [_table(rows, laws.LAWS[start : start + size]) for start in range(0, len(laws.LAWS), size)]
        if max(len(line) for table in tables for line in table.splitlines()) <= WIDTH:
            break
    return tables


def _table(rows: Sequence[Checked], laws: Sequence[Law]) -> str:
    head = ["largest error", *(law.name for law in laws)]
    tolerances = ["tolerance", *(f"{law.tolerance:g}" for law in laws)]
    return aligned([head, tolerances, *([row.name, *map(row.cell, laws)] for row in rows)])
