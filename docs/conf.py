"""Configuration of the documentation site (`make site`). The built pages load nothing from other servers."""

import re
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "bone-erosion-scoring"
copyright = "the authors of bone-erosion-scoring, Apache-2.0"
version = release = installed_version(project)
language = "en-GB"

extensions = ["myst_parser"]
myst_heading_anchors = 4

html_theme = "pydata_sphinx_theme"
html_title = f"{project} {release}"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "icon_links": [],
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
}

_DIAGRAM = re.compile(r"^```mermaid\nerDiagram\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ENTITY = re.compile(r'^    "(\S+)" \{\n(.*?)^    \}$', re.MULTILINE | re.DOTALL)
_REFERENCE = re.compile(r'^    "(\S+)" \|(\S)--\S\S "(\S+)" : "(.*)"$', re.MULTILINE)


def diagram_as_tables(diagram: str) -> str:
    """Render a Mermaid diagram as tables of keys and references.

    GitHub draws Mermaid diagrams; a browser would need a script from another server.
    """
    lines = []
    if entities := _ENTITY.findall(diagram):
        lines += ["| Table | Keys |", "|---|---|"]
        for table, columns in entities:
            keys = [column.split(maxsplit=2)[1:] for column in columns.strip().split("\n")]
            lines.append(f"| `{table}` | {', '.join(f'`{name}` ({kinds})' for name, kinds in keys)} |")
        lines.append("")
    lines += ["| Table | Refers to | By | Required |", "|---|---|---|---|"]
    for target, end, table, columns in _REFERENCE.findall(diagram):
        lines.append(f"| `{table}` | `{target}` | {columns} | {'yes' if end == '|' else ''} |")
    return "\n".join(lines)


def setup(app: "Sphinx") -> None:
    """Replace diagrams when a page is read."""

    def replace_diagrams(_: "Sphinx", __: str, source: list[str]) -> None:
        source[0] = _DIAGRAM.sub(lambda found: diagram_as_tables(found.group(1)), source[0])

    app.connect("source-read", replace_diagrams)
