"""Reading EPUB: a ZIP file of web pages, and a list that says in which order they are read."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from zipfile import ZipFile

from notesearch.documents.archives import open_archive, read_member
from notesearch.documents.document import DocumentBuilder
from notesearch.documents.web_page import add_html, decode_html, parse_html
from notesearch.errors import NoteUnreadable

if TYPE_CHECKING:
    from lxml.etree import _Element

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")


def read_epub(data: bytes, builder: DocumentBuilder) -> None:
    """Read a book in the order of its spine."""
    archive = open_archive(data)
    container = _xml(read_member(archive, _CONTAINER))
    rootfile = next(container.iter("{*}rootfile"), None)
    if rootfile is None:
        raise ValueError("no package")
    package_name = rootfile.get("full-path", "")
    package = _xml(read_member(archive, package_name))
    folder = posixpath.dirname(package_name)
    builder.title = _said(package, "title")
    builder.date = _said(package, "date")
    if author := _said(package, "creator"):
        builder.paragraph(author)
    items = {item.get("id", ""): item for item in package.iter("{*}item")}
    spine = [items[name] for ref in package.iter("{*}itemref") if (name := ref.get("idref", "")) in items]
    names = [
        _path(folder, item.get("href", ""))
        for item in spine
        if item.get("media-type") in _PAGES and "nav" not in (item.get("properties") or "").split()
    ]
    if set(names) & _encrypted(archive):
        raise NoteUnreadable("encrypted", by_rule=True)
    chapters = _chapters(archive, folder, package)
    for name in names:
        try:
            page = parse_html(decode_html(read_member(archive, name)))
        except KeyError:
            builder.problems.append(f"{name} is missing in it")
            continue
        body = page.find("body") if page is not None else None
        if body is None:
            continue
        if name in chapters and not any(element.tag in ("h1", "h2", "h3") for element in body.iter("h1", "h2", "h3")):
            builder.heading(1, chapters[name])
        add_html(builder, body)


def _xml(data: bytes) -> _Element:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    root: _Element | None = etree.fromstring(data, parser)
    if root is None:
        raise ValueError("empty")
    return root


def _said(package: _Element, name: str) -> str:
    """What the package says under a name of Dublin Core, first of all."""
    element = next(package.iter(f"{{http://purl.org/dc/elements/1.1/}}{name}"), None)
    return " ".join((element.text or "").split()) if element is not None else ""


def _path(folder: str, reference: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(urlsplit(reference).path)))


def _encrypted(archive: ZipFile) -> set[str]:
    """The parts that cannot be read; fonts are often disguised, which does not matter."""
    if _ENCRYPTION not in archive.namelist():
        return set()
    references = _xml(read_member(archive, _ENCRYPTION)).iter("{*}CipherReference")
    return {_path("", reference.get("URI", "")) for reference in references}


def _chapters(archive: ZipFile, folder: str, package: _Element) -> dict[str, str]:
    """What the table of contents calls the pages that it names."""
    found: dict[str, str] = {}
    for item in package.iter("{*}item"):
        is_contents = "nav" in (item.get("properties") or "").split()
        if not is_contents and item.get("media-type") != "application/x-dtbncx+xml":
            continue
        name = _path(folder, item.get("href", ""))
        if name not in archive.namelist():
            continue
        beside = posixpath.dirname(name)
        root = _xml(read_member(archive, name))
        if is_contents:
            entries = [(link.get("href", ""), "".join(link.itertext())) for link in root.iter("{*}a")]
        else:
            entries = [
                (content.get("src", ""), "".join(label.itertext()))
                for point in root.iter("{*}navPoint")
                if (content := point.find("{*}content")) is not None
                and (label := point.find("{*}navLabel")) is not None
            ]
        for reference, title in entries:
            found.setdefault(_path(beside, reference), title)
    return found
