"""Templates of the reports, and the writing of finished documents."""

import logging
from functools import cache

import jinja2
from upath import UPath

from scoring.report import formatting, thumbnail
from scoring.storage import atomic_write

log = logging.getLogger(__name__)

_FILTERS = (
    formatting.joint_term,
    formatting.long_date,
    formatting.moment,
    formatting.noun,
    formatting.percent,
    formatting.span,
    formatting.thousands,
    thumbnail.data_url,
)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scoring.report"),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    # Keeps a number and its percent sign on the same line.
    environment.filters["keep_percent_signs"] = lambda html: html.replace(" %", "\N{NO-BREAK SPACE}%")
    environment.globals["DASH"] = formatting.DASH
    return environment


def render(template: str, **values: object) -> str:
    """Render a template of this package. Values are escaped in HTML, and a missing variable is an error."""
    return _environment().get_template(template).render(values)


def write_document(text: str, url: str) -> None:
    """Write an HTML, Markdown or SVG document, with missing folders; a reader sees the old or the new version only."""
    content = text.encode()
    with atomic_write(UPath(url)) as file:
        file.write(content)
    log.info("report_written url=%s bytes=%d", url, len(content))
