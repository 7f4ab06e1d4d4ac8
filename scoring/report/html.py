"""Templates of the reports, and how a page is written."""

import logging

import jinja2
from upath import UPath

from scoring.storage import atomic_write

log = logging.getLogger(__name__)


def environment() -> jinja2.Environment:
    """The templates of this package: what goes into HTML is escaped, and a variable that is missing is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("scoring.report"),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def write_page(html: str, url: str) -> None:
    """Write a page so that a reader sees the old page or the new one, never half of one.

    Args:
        html: the document.
        url: local path or fsspec URL of the file; missing folders are made.
    """
    with atomic_write(UPath(url)) as file:
        file.write(html.encode())
    log.info("report_written url=%s bytes=%d", url, len(html.encode()))
