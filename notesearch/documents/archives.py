"""DOCX and EPUB, which are ZIP files, to Markdown."""

import posixpath
import re
from collections.abc import Mapping
from io import BytesIO
from urllib.parse import unquote, urlsplit
from zipfile import ZipFile

from lxml import etree

from notesearch.documents.document import MOST_CHARS, Document, make_document
from notesearch.documents.web_page import decode_html, parse_html, to_markdown, without_boilerplate
from notesearch.errors import NoteUnreadable

_MOST_MEMBERS = 20_000
_MOST_BYTES = 300_000_000
# Of what is parsed at once, for which a tree takes ten times as much memory; markup is many times as long as its text.
_MOST_TEXT_BYTES = 20_000_000
# What a DOCX file holds beside its text.
_NOT_PARSED = ("word/media/", "word/embeddings/", "word/fonts/")
# How .doc files begin, and encrypted DOCX files too.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = 0x1
_TOO_LARGE = "too large, once it is unpacked"

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DEEPEST_LEVEL = 9
_HEADING_STYLE = re.compile(r"heading (\d)", re.IGNORECASE)
# Word's title, tables of contents, and comments, which mammoth leaves out unless it is told otherwise.
_STYLE_MAP = ["p[style-name='Title'] => h1:fresh", "p[style-name^='toc '] => !", "comment-reference => sup"]

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_CHAPTER_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")


def read_docx(data: bytes) -> Document:
    """Read a document of Word, its footnotes and comments included."""
    archive = _open(data)
    # mammoth parses all parts at once, by whatever names.
    _require_small(sum(each.file_size for each in archive.infolist() if not each.filename.startswith(_NOT_PARSED)))
    import mammoth

    properties = _xml(archive, "docProps/core.xml") if "docProps/core.xml" in archive.namelist() else None
    page = mammoth.convert_to_html(
        BytesIO(data),
        style_map="\n".join([*_STYLE_MAP, *_heading_styles(archive)]),
        include_embedded_style_map=False,
        convert_image=mammoth.images.img_element(lambda image: {"src": ""}),
    )
    text = to_markdown(parse_html(page.value), keep_links=True)
    return make_document(text, _dublin_core(properties, "title"), _dublin_core(properties, "created"))


def read_epub(data: bytes) -> Document:
    """Read a book in the order of its spine."""
    archive = _open(data)
    rootfile = next(_xml(archive, _CONTAINER).iter("{*}rootfile"), None)
    if rootfile is None:
        raise ValueError("no package")
    package_name = rootfile.get("full-path", "")
    package, folder = _xml(archive, package_name), posixpath.dirname(package_name)
    items = {item.get("id", ""): item for item in package.iter("{*}item")}
    spine = [items[name] for ref in package.iter("{*}itemref") if (name := ref.get("idref", "")) in items]
    names = [
        _path(folder, item.get("href", ""))
        for item in spine
        if item.get("media-type") in _CHAPTER_TYPES and not _is_contents(item)
    ]
    if set(names) & _encrypted(archive):
        raise NoteUnreadable("encrypted", by_rule=True)
    titles = _chapter_titles(archive, folder, package)
    parts = [_dublin_core(package, "creator")]
    problems = []
    for name in names:
        if sum(map(len, parts)) > MOST_CHARS:
            break
        if name not in archive.namelist():
            problems.append(f"{name} is missing in it")
        elif body := without_boilerplate(parse_html(decode_html(_read(archive, name)))).body:
            if name in titles and not body.find(("h1", "h2", "h3")):
                parts.append(f"# {titles[name]}")
            parts.append(to_markdown(body, keep_links=False))
    text = "\n\n".join(filter(None, parts))
    return make_document(text, _dublin_core(package, "title"), _dublin_core(package, "date"), problems=problems)


def _open(data: bytes) -> ZipFile:
    """Open a ZIP file.

    Raises:
        NoteUnreadable: It is encrypted, or unpacks to more than is allowed.
        zipfile.BadZipFile: It is not a ZIP file.
    """
    if data.startswith(_OLE):
        raise NoteUnreadable("encrypted, or an older Office file", by_rule=True)
    archive = ZipFile(BytesIO(data))
    members = archive.infolist()
    # zipfile never unpacks more of a member than its directory says.
    if len(members) > _MOST_MEMBERS or sum(member.file_size for member in members) > _MOST_BYTES:
        raise NoteUnreadable(_TOO_LARGE, by_rule=True)
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise NoteUnreadable("encrypted", by_rule=True)
    return archive


def _require_small(size: int) -> None:
    if size > _MOST_TEXT_BYTES:
        raise NoteUnreadable(_TOO_LARGE, by_rule=True)


def _read(archive: ZipFile, name: str) -> bytes:
    """A member that is to be parsed."""
    _require_small(archive.getinfo(name).file_size)
    return archive.read(name)


def _xml(archive: ZipFile, name: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    root: etree._Element | None = etree.fromstring(_read(archive, name), parser)
    if root is None:
        raise ValueError("empty")
    return root


def _dublin_core(root: etree._Element | None, name: str) -> str:
    """The first value of a Dublin Core property; empty if there is none."""
    element = next(root.iter(f"{{*}}{name}"), None) if root is not None else None
    return " ".join((element.text or "").split()) if element is not None else ""


def _heading_styles(archive: ZipFile) -> list[str]:
    """Rules for mammoth, which knows the headings of Word, but not the styles that are based on them."""
    if "word/styles.xml" not in archive.namelist():
        return []
    styles = {style.get(f"{_W}styleId", ""): style for style in _xml(archive, "word/styles.xml").iter(f"{_W}style")}
    levels = {_value(style, "name"): _heading_level(styles, style_id) for style_id, style in styles.items()}
    return [
        f"p[style-name='{name}'] => h{min(level, 6)}:fresh"
        for name, level in levels.items()
        if 1 <= level <= _DEEPEST_LEVEL and "'" not in name
    ]


def _heading_level(styles: Mapping[str, etree._Element], style_id: str, ancestors: int = 20) -> int:
    """The level of a style, by its name, its outline level, or the style that it is based on; 0 for none."""
    style = styles.get(style_id)
    if style is None or not ancestors:
        return 0
    heading = _HEADING_STYLE.match(_value(style, "name"))
    level = int(heading[1]) if heading else int(_value(style, f"pPr/{_W}outlineLvl") or -1) + 1
    return level or _heading_level(styles, _value(style, "basedOn"), ancestors - 1)


def _value(element: etree._Element, path: str) -> str:
    found = element.find(f"{_W}{path}")
    return found.get(f"{_W}val", "") if found is not None else ""


def _path(folder: str, reference: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(urlsplit(reference).path)))


def _is_contents(item: etree._Element) -> bool:
    return "nav" in (item.get("properties") or "").split()


def _encrypted(archive: ZipFile) -> set[str]:
    """The members that cannot be read; encrypted fonts are common and do not matter."""
    if _ENCRYPTION not in archive.namelist():
        return set()
    return {_path("", reference.get("URI", "")) for reference in _xml(archive, _ENCRYPTION).iter("{*}CipherReference")}


def _chapter_titles(archive: ZipFile, folder: str, package: etree._Element) -> dict[str, str]:
    """The titles in the table of contents, which is a web page or in an older format, by the chapter's member."""
    found: dict[str, str] = {}
    for item in package.iter("{*}item"):
        name = _path(folder, item.get("href", ""))
        is_contents = _is_contents(item) or item.get("media-type") == "application/x-dtbncx+xml"
        for entry in (
            _xml(archive, name).iter("{*}a", "{*}navPoint") if is_contents and name in archive.namelist() else ()
        ):
            content, label = entry.find("{*}content"), entry.find("{*}navLabel")
            reference = (entry if content is None else content).get("src", entry.get("href", ""))
            words = " ".join("".join((entry if label is None else label).itertext()).split())
            found.setdefault(_path(posixpath.dirname(name), reference), words)
    return found
