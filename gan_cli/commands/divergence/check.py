"""The laws of divergences, measured and shown as a table."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gan_cli.commands.divergence.laws import LAWS, Law
from gan_cli.divergences.base import Divergence
from gan_cli.errors import CommandError, ConfigError

WIDTH = 100


@dataclass(frozen=True)
class Measured:
    """The error of a divergence under each law, None if the law does not apply."""

    name: str
    errors: Mapping[str, float | None]

    def breaks(self, law: Law) -> bool:
        """Whether the error is above the law's tolerance."""
        error = self.errors[law.name]
        return error is not None and not error <= law.tolerance

    def cell(self, law: Law) -> str:
        error = self.errors[law.name]
        return "–" if error is None else f"{error:.1g}{'!' if self.breaks(law) else ''}"


def measure(name: str, divergence: Divergence) -> Measured:
    """Every law of one divergence. Raises `ConfigError` if a formula cannot be computed."""
    errors = {}
    for law in LAWS:
        try:
            errors[law.name] = law.error(divergence)
        except Exception as error:  # somebody's own formula may raise anything
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ConfigError(f"{name}: {law.name} cannot be computed: {reason}") from error
    return Measured(name, errors)


def table(rows: Sequence[Measured]) -> str:
    """The largest errors beside each other, no line wider than 100 columns, and what each law says."""
    parts = [_part(rows, laws) for laws in _side_by_side(max(len(row.name) for row in rows))]
    indent = " " * (_widest_law() + 2)
    legend = [
        textwrap.fill(law.statement, WIDTH, initial_indent=f"{law.name:{len(indent)}}", subsequent_indent=indent)
        for law in LAWS
    ]
    return "\n\n".join([*parts, "\n".join(legend)])


def raise_if_broken(rows: Sequence[Measured]) -> None:
    """Raise `CommandError` with every law that a divergence breaks."""
    broken = [
        f"{row.name} breaks {law.name} ({row.errors[law.name]:.2g} > {law.tolerance:g})"
        for row in rows
        for law in LAWS
        if row.breaks(law)
    ]
    if broken:
        raise CommandError("; ".join(broken))


def _side_by_side(name_width: int) -> list[list[Law]]:
    """The laws, in as many tables as keep within the width."""
    columns = max(1, (WIDTH - name_width) // _cell_width())
    tables = -(-len(LAWS) // columns)
    size = -(-len(LAWS) // tables)
    return [LAWS[start : start + size] for start in range(0, len(LAWS), size)]


def _part(rows: Sequence[Measured], laws: Sequence[Law]) -> str:
    lines = [
        ("largest error", [law.name for law in laws]),
        ("tolerance", [f"{law.tolerance:g}" for law in laws]),
        *((row.name, [row.cell(law) for law in laws]) for row in rows),
    ]
    width = max(len(first) for first, _ in lines)
    return "\n".join(
        f"{first:{width}}" + "".join(f"{cell:>{_cell_width()}}" for cell in cells) for first, cells in lines
    )


def _widest_law() -> int:
    return max(len(law.name) for law in LAWS)


def _cell_width() -> int:
    return max(_widest_law(), len("1e-300!")) + 1
