"""Documents made by hand, so that each byte of them is known."""

import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile


def make_pdf(
    pages: Sequence[Sequence[str]],
    *,
    info: Mapping[str, str] = {},
    outline: Sequence[tuple[str, int]] = (),
    title_size: int = 12,
    contents: Mapping[int, bytes] = {},
    encoding: str = "/WinAnsiEncoding",
) -> bytes:
    """A PDF.

    Args:
        pages: The lines of each page.
        info: What it says of itself.
        outline: Titles and the numbers of their pages, from 0.
        title_size: Of the letters of the first line of the first page; others have 12.
        contents: What pages show instead of their lines, by their numbers from 0: streams with their dictionaries.
        encoding: Of the font: a name, or a dictionary.
    """
    objects: dict[int, bytes] = {}
    first_page = 10
    kids = " ".join(f"{first_page + 2 * number} 0 R" for number in range(len(pages)))
    entries = 5000
    last = entries + len(outline) - 1
    objects[1] = b"<< /Type /Catalog /Pages 2 0 R" + (b" /Outlines 6 0 R" if outline else b"") + b" >>"
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()
    objects[3] = f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding {encoding} >>".encode()
    objects[4] = b"<< " + b" ".join(f"/{key} ({value})".encode("cp1252") for key, value in info.items()) + b" >>"
    if outline:
        objects[6] = f"<< /First {entries} 0 R /Last {last} 0 R /Count {len(outline)} >>".encode()
    for place, (title, page) in enumerate(outline):
        following = f"/Next {entries + place + 1} 0 R" if place + 1 < len(outline) else ""
        target = f"{first_page + 2 * page} 0 R"
        objects[entries + place] = f"<< /Title ({title}) /Parent 6 0 R /Dest [{target} /Fit] {following} >>".encode()
    for number, lines in enumerate(pages):
        place = first_page + 2 * number
        objects[place] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {place + 1} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        ).encode()
        objects[place + 1] = contents.get(number) or _stream(_shown(lines, title_size if number == 0 else 12))
    return _assembled(objects)


def _shown(lines: Sequence[str], first_size: int) -> bytes:
    parts = [f"BT /F1 {first_size} Tf 72 720 Td"]
    for place, line in enumerate(lines):
        escaped = line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        parts.append(f"({escaped}) Tj 0 -14 Td" + (" /F1 12 Tf" if place == 0 else ""))
    return " ".join([*parts, "ET"]).encode("cp1252")


def _stream(data: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%b\nendstream" % (len(data), data)


def flate_stream(data: bytes) -> bytes:
    """A compressed stream."""
    packed = zlib.compress(data, 9)
    return b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(packed), packed)


def _assembled(objects: Mapping[int, bytes]) -> bytes:
    data = b"%PDF-1.4\n"
    places = {}
    for number, content in objects.items():
        places[number] = len(data)
        data += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = len(data)
    data += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in places.items():
        data += b"%d 1\n%010d 00000 n \n" % (number, place)
    size = max(objects) + 1
    return data + b"trailer\n<< /Size %d /Root 1 0 R /Info 4 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, table)


def make_zip(members: Mapping[str, str | bytes]) -> bytes:
    """A ZIP file."""
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def make_epub(
    chapters: Mapping[str, str], *, metadata: str = "<dc:title>A book</dc:title>", more: Mapping[str, str] = {}
) -> bytes:
    """A book.

    Args:
        chapters: The bodies of its pages by their names.
        metadata: What the package says of it.
        more: Other members; a name that is there already takes its place.
    """
    items = "".join(
        f'<item id="i{place}" href="{name}" media-type="application/xhtml+xml"/>' for place, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="i{place}"/>' for place in range(len(chapters)))
    package = f"""<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf">
        <metadata xmlns:dc="http://purl.org/dc/elements/1.1/">{metadata}</metadata>
        <manifest>{items}<item id="toc" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>
        <spine>{spine}</spine></package>"""
    pages = {
        f"OPS/{name}": '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml">'
        f"<head><title/></head><body>{body}</body></html>"
        for name, body in chapters.items()
    }
    container = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    return make_zip(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OPS/book.opf": package,
            **pages,
            **more,
        }
    )


def make_docx(body: str, *, properties: str = "", styles: str = "", more: Mapping[str, str] = {}) -> bytes:
    """A document of Word.

    Args:
        body: WordprocessingML: paragraphs and tables.
        properties: Title and dates, with the prefixes `dc` and `dcterms`.
        styles: Its styles.
        more: Other parts by their names, `footnotes` say; `links` are ids and targets: `r8=a.docx r9=b.docx`. What has
            a `/` in its name is a member that is taken as it is.
    """
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    links = "".join(
        f'<Relationship Id="{line.partition("=")[0]}" Type="{office}/hyperlink" Target="{line.partition("=")[2]}"/>'
        for line in more.get("links", "").split()
    )
    parts = {name: _word(name, xml) for name, xml in more.items() if name != "links" and "/" not in name}
    related = "".join(f'<Relationship Id="{name}" Type="{office}/{name}" Target="{name}.xml"/>' for name in parts)
    relationships = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
    )
    prefixes = 'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/"'
    return make_zip(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
            "_rels/.rels": relationships.format(
                f'<Relationship Id="r1" Type="{office}/officeDocument" Target="word/document.xml"/>'
            ),
            "word/_rels/document.xml.rels": relationships.format(
                f'<Relationship Id="r1" Type="{office}/styles" Target="styles.xml"/>' + related + links
            ),
            "word/document.xml": _word("document", f"<w:body>{body}</w:body>"),
            "word/styles.xml": _word("styles", styles),
            "docProps/core.xml": f"<p {prefixes}>{properties}</p>",
            **{f"word/{name}.xml": xml for name, xml in parts.items()},
            **{name: content for name, content in more.items() if "/" in name},
        }
    )


def _word(name: str, xml: str) -> str:
    return (
        f'<w:{name} xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
        f'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">{xml}</w:{name}>'
    )
