"""Helpers for tests of the reports: a strict reader of HTML documents, and figures that are drawn once."""

import pickle
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from types import ModuleType

import pytest

_DRAWN: dict[tuple[str, str, bytes], str] = {}
VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>_{{ 7*7 }}'
"""Text that would run a script or render a template if a report did not escape it."""


class Document(HTMLParser):
    """The elements and the text of a document; fails if an element is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute of <{tag}> occurs twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "title"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        """All text outside of styles and titles, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def all(self, *tags: str) -> Iterator[dict[str, str | None]]:
        """The attributes of all elements with these tags."""
        return (attributes for tag, attributes in self.elements if tag in tags)


def assert_self_contained(html: str) -> Document:
    """Assert that a document is well formed, loads nothing, has unique ids and shows no missing value."""
    document = Document(html)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", html)
    assert not list(document.all("script", "link", "iframe", "object"))
    assert all((attributes["src"] or "").startswith("data:image/jpeg;base64,") for attributes in document.all("img"))
    assert not any(key.startswith("on") for _, attributes in document.elements for key in attributes)
    ids = [attributes["id"] for _, attributes in document.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    targets = {str(attributes["href"]) for attributes in document.all("a")}
    assert {target[1:] for target in targets if target.startswith("#")} <= set(ids)
    assert not re.search(r"\b(nan|NaN|None|NaT)\b", document.text)
    return document


def draw_once(monkeypatch: pytest.MonkeyPatch, module: ModuleType, *names: str) -> None:
    """Let functions of a module draw each figure once per test process; drawing takes most of the time of a report."""

    def cached(name: str, draw: Callable[..., str]) -> Callable[..., str]:
        def drawn(*arguments: object) -> str:
            key = (module.__name__, name, pickle.dumps(arguments))
            if key not in _DRAWN:
                _DRAWN[key] = draw(*arguments)
            return _DRAWN[key]

        return drawn

    for name in names:
        monkeypatch.setattr(module, name, cached(name, getattr(module, name)))
