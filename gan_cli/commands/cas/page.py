"""The findings as one page that needs nothing else: no network, no file beside it."""

import base64
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gan_cli.commands.cas import text
from gan_cli.commands.cas.findings import METHOD, Findings


def html(title: str, findings: Findings, verdict: str, pictures: Mapping[str, bytes]) -> str:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        title=title,
        verdict=verdict,
        tables=[text.accuracies(findings), text.differences(findings), text.per_class(findings)],
        pictures={name: base64.b64encode(png).decode() for name, png in pictures.items()},
        notes=[*findings.notes, f"{METHOD}."],
    )
