"""Templates of the reports, and the writing of finished documents."""

import logging
from functools import cache

import jinja2
from upath import UPath

from scoring.storage import atomic_write

log = logging.getLogger(__name__)


@cache
def environment() -> jinja2.Environment:
    """Return the templates of this package. Values are escaped in HTML, and a missing variable is an error."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("scoring.report"),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Keeps a number and its percent sign on the same line.
    templates.filters["keep_percent_signs"] = lambda html: html.replace(" %", "\N{NO-BREAK SPACE}%")
    return templates


def write_page(text: str, url: str) -> None:
    """Write a document atomically: a reader sees the old or the new version, never half of one.

    Args:
        text: HTML, Markdown or SVG.
        url: Local path or fsspec URL of the file; missing folders are created.
    """
    content = text.encode()
    with atomic_write(UPath(url)) as file:
        file.write(content)
    log.info("report_written url=%s bytes=%d", url, len(content))
