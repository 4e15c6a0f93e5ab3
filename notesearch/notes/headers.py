"""Metadata that a note has in another form than front matter in YAML or TOML: whose form it is, and what it says.

Each function of `_FORMS` gives what it finds at the top of a text, or None. Lines that may be words of the note stay
text of it, so that nothing is lost if they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from notesearch.notes.dates import is_date_key
from notesearch.notes.metadata import (
    MAX_CHARS,
    FrontMatter,
    HeaderForm,
    flaw_of,
    load_toml,
    load_yaml,
    parse_front_matter,
)
from notesearch.notes.rst import heading_at
from notesearch.notes.structure import LineTable
from notesearch.notes.tags import TAG_KEYS, hide_whole, unquoted

_END = r"(?:\r\n|\r|\n|\Z)"
_VALUE = rf"[ \t]*(?P<value>[^\r\n]*?)[ \t]*{_END}"
_KEY = r"(?P<key>[A-Za-z][\w-]*(?: [\w-]+){0,3})"

# A line such as `Note: remember this` makes no header: one of these has to be among the keys.
_KNOWN_KEYS = frozenset(
    "title subtitle tags tag keywords modified updated author authors category categories slug permalink"
    " layout draft css copyright affiliation abstract".split()
)
# How far into a note what marks a form is looked for, where it need not be at the top.
_HOW_FAR = 10_000


def read_metadata(text: str, kind: str) -> FrontMatter:
    """Reads what a note says of itself at its top, as front matter or in another form; never raises.

    Args:
        text: The note, without a byte order mark.
        kind: The kind of its file, see `file_kinds.kind_of`.

    Returns:
        What it says; empty where there is nothing.
    """
    found = parse_front_matter(text)
    if found.format or found.problem:
        return found
    return next((header for kinds, find in _FORMS if kind in kinds and (header := find(text))), found)


def _at_top(
    form: HeaderForm, values: Mapping[str, Any], span: tuple[int, int], end: int = 0, *, hides: bool = False
) -> FrontMatter:
    """What the first lines say, up to an offset (that of the span, where none is given), as text or hidden."""
    end = end or span[1]
    return FrontMatter(dict(values), end if hides else 0, "", span, end, form=form)


def _within(form: HeaderForm, values: Mapping[str, Any], span: tuple[int, int]) -> FrontMatter:
    """What a span of the note's text says."""
    return FrontMatter(dict(values), span=span, form=form)


# Forms of lines, each with a key and a value.


def _fields(text: str, start: int, form: HeaderForm, joiner: str = "\n") -> tuple[dict[str, str], int]:
    """The values of the fields on the lines from an offset on, by key in lower case, and where they end."""
    values: dict[str, str] = {}
    end = start
    while form.field and (field := form.field.match(text, end)):
        key, value, end = field["key"].lower(), field["value"] or "", field.end()
        while form.more and (more := form.more.match(text, end)):
            value += joiner + more["value"]
            end = more.end()
        # Lines of tags add up; of others the first counts.
        values[key] = f"{values[key]}\n{value}" if key == "tags" and key in values else values.get(key, value)
    return values, end


def _is_known(values: Mapping[str, Any]) -> bool:
    return any(key in _KNOWN_KEYS or is_date_key(key) for key in values)


def _with_lists(values: Mapping[str, str], form: HeaderForm) -> dict[str, Any]:
    """Values with a list for each that is tags."""
    return {key: _divided(value, form) if key in TAG_KEYS else value for key, value in values.items()}


def _divided(written: str, form: HeaderForm) -> list[str]:
    """Tags with commas (or semicolons) between; with spaces where each has a `#` or is a link."""
    masked = hide_whole(written)
    pattern = r"[^;\n]+" if form.divides_at_semicolons and ";" in masked else r"[^,，\n]+"
    if not re.search(r"[,，;\n]", masked) and all(word[0] in "#\0" for word in masked.split()):
        pattern = r"\S+"
    pieces = (written[slice(*match.span())].strip() for match in re.finditer(pattern, masked))
    return [unquoted(piece) for piece in pieces if piece]


_PLAIN_FIELD = re.compile(rf" {{0,3}}{_KEY}[ \t]*:(?!:){_VALUE}")
_PLAIN = HeaderForm(
    "a header of `key: value` lines",
    _PLAIN_FIELD,
    re.compile(rf"(?: {{4}}|\t)[ \t]*(?=\S){_VALUE}"),
    ("", ":"),
    divides_at_semicolons=True,
)
_DASHED = HeaderForm("a header that ends with a line of dashes")
_DENOTE = HeaderForm("a Denote header")
_MAIL = HeaderForm("a mail header")
_TIDDLER = HeaderForm("a TiddlyWiki header")
_ZIM = HeaderForm("a Zim header")
_ZIM_TITLE = re.compile(rf"\s*={{2,6}}[ \t]+([^\r\n]*?)[ \t]*=*[ \t]*{_END}")
_ZIM_TAG = re.compile(r"(?<!\S)@(\w+)")
_CLOSED = re.compile(rf"((?:(?!-{{3}}|\.\.\.)(?=[^\r\n]*\S)[^\r\n]*+{_END})++)(?:-{{3,}}|\.\.\.)[ \t]*{_END}")
_UNDERLINE = re.compile(rf"=+[ \t]*{_END}")


def _plain(text: str) -> FrontMatter | None:
    """`Title: …`, as in Pelican, MultiMarkdown, Hexo, Denote, TiddlyWiki, Zim and mails."""
    values, end = _fields(text, 0, _PLAIN)
    if values.get("content-type") == "text/x-zim-wiki":
        title = _ZIM_TITLE.match(text, end)
        created, tags = values.get("creation-date", ""), _ZIM_TAG.findall(text, end)
        return _at_top(
            _ZIM, {"title": title[1] if title else "", "created": created, "tags": tags}, (0, end), hides=True
        )
    if "from" in values and not {"to", "subject", "message-id"}.isdisjoint(values):
        return _at_top(_MAIL, {"title": values.get("subject", ""), "date": values.get("date", "")}, (0, end))
    if not _is_known(values) or _UNDERLINE.match(text, end):
        return None
    if closed := _CLOSED.match(text[:MAX_CHARS]):
        if "identifier" in values:
            tags = re.split(r" {2,}", values.get("tags", ""))
            return _at_top(_DENOTE, values | {"tags": tags}, closed.span(1), closed.end())
        data, _ = load_yaml(closed[1])
        lowered = {str(key).lower(): value for key, value in (data or {}).items()}
        return _at_top(_DASHED, lowered or values, closed.span(1), closed.end())
    if values.get("type") == "text/vnd.tiddlywiki":
        return _at_top(_TIDDLER, values, (0, end))
    return _at_top(_PLAIN, _with_lists(values, _PLAIN), (0, end))


_NOTION = HeaderForm("properties of Notion", _PLAIN_FIELD, marks=("", ":"))
_NOTION_TITLE = re.compile(rf"# [^\r\n]+{_END}[ \t]*{_END}")
_NOTION_DATE = re.compile(r"[A-Z][a-z]+ \d{1,2}, \d{4}\b")


def _notion(text: str) -> FrontMatter | None:
    """`Created: March 4, 2021 10:11 AM` below the title; other lines there may be prose."""
    title = _NOTION_TITLE.match(text)
    if not title:
        return None
    values, end = _fields(text, title.end(), _NOTION)
    if not any(is_date_key(key) and _NOTION_DATE.match(value) for key, value in values.items()):
        return None
    return _within(_NOTION, _with_lists(values, _NOTION), (title.end(), end))


_NIKOLA_OPENING = re.compile(rf"\s*(?:(?:<!--|#\+begin_comment)[ \t]*{_END})?", re.IGNORECASE)
_NIKOLA = HeaderForm(
    "a Nikola header",
    re.compile(rf"[ \t]*\.\. (?P<key>[A-Za-z][\w-]*):(?!:){_VALUE}"),
    marks=(".. ", ":"),
    # Nikola takes these tags for the status of a post.
    control_tags=frozenset({"draft", "private", "mathjax"}),
)
_COMMENT_OPENING = re.compile(rf"\s*<!--[ \t]*(?:---)?[ \t]*(?:{_END})?")
_COMMENT_CLOSING = re.compile(rf"[ \t]*-->[ \t]*{_END}")
_COMMENT = HeaderForm(
    "metadata in a comment",
    re.compile(rf"[ \t]*(?:<!--[ \t]*)?{_KEY}:[ \t]*(?P<value>[^\r\n]*?)[ \t]*(?:-->)?[ \t]*{_END}"),
)


def _commented(text: str) -> FrontMatter | None:
    """`.. title: …` of Nikola, in a comment of HTML or Org or not; `title: …` in a comment of HTML."""
    for opening, form in ((_NIKOLA_OPENING, _NIKOLA), (_COMMENT_OPENING, _COMMENT)):
        if begin := opening.match(text):
            values, end = _fields(text, begin.end(), form)
            if _is_known(values):
                closing = _COMMENT_CLOSING.match(text, end)
                return _at_top(form, _with_lists(values, form), (begin.end(), end), closing.end() if closing else end)
    return None


_LOGSEQ = HeaderForm(
    "page properties of Logseq",
    re.compile(rf"(?:- |[ \t]+)?(?P<key>[A-Za-z][\w./-]*)::(?:[ \t]+(?P<value>[^\r\n]*?))?[ \t]*{_END}"),
    marks=("", "::"),
)
_BRACKETS = re.compile(r"#?\[\[([^\[\]]*)\]\]")


def _logseq(text: str) -> FrontMatter | None:
    """`title:: …`, also as the first block of the page."""
    start = len(text) - len(text.lstrip("\r\n"))
    values, end = _fields(text, start, _LOGSEQ)
    if not values:
        return None
    lists = _with_lists(values, _LOGSEQ)
    for key in TAG_KEYS:  # a page may be in the namespace of another, where other programs have folders
        if key in lists:
            lists[key] = [page for tag in lists[key] for page in _BRACKETS.findall(tag) or [tag]]
    return _at_top(_LOGSEQ, lists, (start, end))


_DOCINFO = HeaderForm(
    "docinfo",
    re.compile(rf"(?:[ \t]*(?:\r\n|\r|\n))*:(?P<key>[^\s:][^\r\n:]*):(?:[ \t]+(?P<value>[^\r\n]*?))?[ \t]*{_END}"),
    re.compile(rf"(?:[ \t]*(?:\r\n|\r|\n))*[ \t]+(?=\S){_VALUE}"),
    (":", ":"),
    divides_at_semicolons=True,
)
# What may stand above: comments, targets, substitutions, and directives that make no text there.
_ABOVE_DOCINFO = re.compile(r"\.\.(?:$| (?![\w-]+::)| (?:meta|contents|header|footer|sectnum)::)")
_FIELD_LINE = re.compile(r"(?:\A|(?<=[\r\n])):[^\s:][^\r\n:]*:(?:[ \t\r\n]|\Z)")


def _docinfo(text: str) -> FrontMatter | None:
    """The field list of reStructuredText below the title."""
    if not _FIELD_LINE.search(text, 0, _HOW_FAR):
        return None
    table = LineTable(text)
    index = 0
    while index < len(table):
        line = table.line(index)
        if heading := heading_at(table, index):
            index = heading[0]
        elif not line.strip() or _ABOVE_DOCINFO.match(line) or (index and line[0] in " \t"):
            index += 1
        else:
            break
    if index == len(table):
        return None
    start = table.starts[index]
    values, end = _fields(text, start, _DOCINFO, " ")
    if not values:
        return None
    return _within(_DOCINFO, _with_lists(values, _DOCINFO), (start, end))


_ASCIIDOC = HeaderForm("an AsciiDoc header", _DOCINFO.field)
_ASCIIDOC_TITLE = re.compile(rf"=[ \t]+([^\r\n]+?)[ \t]*{_END}(?:[^\s:=][^\r\n]*{_END}){{0,2}}(?=:)")


def _asciidoc(text: str) -> FrontMatter | None:
    title = _ASCIIDOC_TITLE.match(text)
    if not title:
        return None
    values, end = _fields(text, title.end(), _ASCIIDOC)
    tags = values.get("page-tags", values.get("tags", "")).strip("[]")
    return (
        _at_top(_ASCIIDOC, _with_lists(values | {"title": title[1], "tags": tags}, _ASCIIDOC), (0, end))
        if values
        else None
    )


# Forms that other programs write, whole.

_JSON = HeaderForm("front matter in JSON")
_NAMED = HeaderForm("front matter whose first line names its language")
_JSON_FENCED = re.compile(rf"(?:(;{{3,}})[ \t]*{_END})?([^;]*(?:;(?!;;)[^;]*)*)(?<=[\r\n]);;;+[ \t]*{_END}")
_NAMED_BLOCK = re.compile(
    rf"---[ \t]*(json5?|ya?ml|toml|js|javascript|coffee|cson)[ \t]*{_END}(.*?)(?<=[\r\n])---[ \t]*{_END}",
    re.DOTALL,
)


def _json(text: str) -> FrontMatter | None:
    """An object in braces (Hugo), or between lines of semicolons, where the braces may be missing (Hexo)."""
    head = text[:MAX_CHARS].lstrip()
    start = len(text[:MAX_CHARS]) - len(head)
    if head.startswith("{"):
        data, end = _object_at(head)
        return _at_top(_JSON, data, (start, start + end), hides=_is_known(data)) if data else None
    if not start and head.startswith((";;;", '"')) and (fenced := _JSON_FENCED.match(head)):
        content = fenced[2].strip()
        data, _ = _object_at(content if content.startswith("{") else f"{{{content.rstrip(',')}}}")
        if data or fenced[1]:
            return _at_top(_JSON, data, fenced.span(2), fenced.end(), hides=bool(data))
    return None


def _object_at(written: str) -> tuple[dict[str, Any], int]:
    """The JSON object at the beginning of a text, its keys in lower case, and where it ends; empty where none is."""
    try:
        data, end = json.JSONDecoder().raw_decode(written)
    except (ValueError, RecursionError):
        return {}, 0
    if not isinstance(data, dict) or flaw_of(data):
        return {}, 0
    return {key.lower(): value for key, value in data.items()}, end


def _named(text: str) -> FrontMatter | None:
    """`---json` and its like, of Eleventy and other programs with gray-matter."""
    block = _NAMED_BLOCK.match(text[:MAX_CHARS])
    if not block:
        return None
    load = {"json": lambda content: (_object_at(content.strip())[0], ""), "toml": load_toml}
    load |= {"yaml": load_yaml, "yml": load_yaml}
    data, _ = load[block[1]](block[2]) if block[1] in load else (None, "")
    values = {str(key).lower(): value for key, value in (data or {}).items()}
    return _at_top(_NAMED, values, block.span(2), block.end(), hides=bool(values))


_FOLDED = rf"[^\r\n]*(?:{_END}[ \t]+\S[^\r\n]*)*"
_PANDOC = HeaderForm("a pandoc title block")
_PANDOC_BLOCK = re.compile(rf"%(?![%!{{])({_FOLDED}){_END}(?:%({_FOLDED}){_END})?(?:%([^\r\n]*){_END})?")
_VIMWIKI = HeaderForm("Vimwiki placeholders", re.compile(rf"%(?P<key>title|date|template|nohtml|toc)\b{_VALUE}"))
_TXT2TAGS = HeaderForm("txt2tags settings")
_TXT2TAGS_HEAD = re.compile(rf"([^\r\n]*){_END}[^\r\n]*{_END}([^\r\n]*){_END}\s*%!\w|%!\w")


def _percent(text: str) -> FrontMatter | None:
    """Lines that begin with a percent sign: Vimwiki's placeholders, pandoc's title block, txt2tags' settings."""
    if settings := _TXT2TAGS_HEAD.match(text):
        values = {"title": (settings[1] or "").strip(), "date": (settings[2] or "").strip()}
        return _within(_TXT2TAGS, values, (0, settings.end()))
    values, end = _fields(text, 0, _VIMWIKI)
    if values:
        return _at_top(_VIMWIKI, values, (0, end))
    block = _PANDOC_BLOCK.match(text)
    if not block:
        return None
    title, authors, date = (" ".join((part or "").split()) for part in block.groups())
    return _at_top(_PANDOC, {"title": title, "author": authors, "date": date}, block.span())


_IKIWIKI = HeaderForm("directives of ikiwiki")
_IKIWIKI_META = re.compile(r"""\[\[!meta[ \t]+(title|date)="+([^"\]]*)"+[^\]]*\]\]""")
_IKIWIKI_TAGS = re.compile(r"\[\[!tag(?:link)?[ \t]+([^\[\]]+)\]\]")
_DOKUWIKI = HeaderForm("tags of DokuWiki")
_DOKUWIKI_TAGS = re.compile(r"\{\{tag>([^{}\r\n]+)\}\}")
_ORG = HeaderForm("keywords of Org", re.compile(rf"#\+(?P<key>\w+):{_VALUE}"))
_JOPLIN = HeaderForm("a Joplin trailer")
_JOPLIN_TRAILER = re.compile(rf"(?<=[\r\n])id: [0-9a-f]{{32}}{_END}(?:\w+:[^\r\n]*{_END})*?type_: \d+\s*\Z")


def _wiki(text: str) -> FrontMatter | None:
    """`[[!meta title="…"]]` and `[[!tag …]]` of ikiwiki, `{{tag>…}}` of DokuWiki: wherever they stand."""
    head = text[:_HOW_FAR]
    if "[[!" in head and (found := [*_IKIWIKI_META.finditer(head), *_IKIWIKI_TAGS.finditer(head)]):
        values = {match[1]: match[2] for match in _IKIWIKI_META.finditer(head)}
        tags = [tag for match in _IKIWIKI_TAGS.finditer(head) for tag in match[1].split()]
        return _within(_IKIWIKI, values | {"tags": tags}, found[0].span())
    if "{{tag>" in head and (match := _DOKUWIKI_TAGS.search(head)):
        return _within(_DOKUWIKI, {"tags": match[1]}, match.span())
    return None


def _org_keywords(text: str) -> FrontMatter | None:
    values, end = _fields(text, 0, _ORG)
    tags = [tag for tag in values.pop("filetags", "").replace(" ", ":").split(":") if tag]
    values.pop("tags", None)  # those that one may use
    return _at_top(_ORG, values | {"tags": tags}, (0, end)) if end else None


def _joplin(text: str) -> FrontMatter | None:
    """What Joplin's raw export has below a note, whose first line is its title."""
    trailer = _JOPLIN_TRAILER.search(text, max(0, len(text) - _HOW_FAR)) if "type_: " in text[-40:] else None
    if not trailer:
        return None
    fields = dict(line.partition(": ")[::2] for line in trailer[0].splitlines())
    # The owner may set the first; the second is when Joplin made the file.
    created = fields.get("user_created_time") or fields.get("created_time", "")
    title = text[: trailer.start()].strip().splitlines()[:1]
    return _within(_JOPLIN, {"title": "".join(title), "created": created}, trailer.span())


_FIRST_LINES = (
    (HeaderForm("a `#!` line"), re.compile(r"#![ \t]*/")),
    (HeaderForm("a mode line of Emacs"), re.compile(r"[^\r\n]*-\*-[^\r\n]*-\*-")),
    (
        HeaderForm("a mode line of Vim"),
        re.compile(rf"(?:[^\r\n]*{_END}){{0,4}}?(?:[^\r\n]*[ \t])?(?:vim?|ex):[ \t]*(?:set?[ \t]+\w|\w+=)"),
    ),
    (HeaderForm("a declaration of XML or HTML"), re.compile(r"<(?:\?xml|!DOCTYPE)\b", re.IGNORECASE)),
)


def _first_line(text: str) -> FrontMatter | None:
    """Lines that have to be the first of a file, or among them."""
    found = ((form, match) for form, line in _FIRST_LINES if (match := line.match(text)))
    return next((_within(form, {}, match.span()) for form, match in found), None)


_Kinds = tuple[str, ...]
_PROSE: _Kinds = ("Markdown", "text")
_FORMS: tuple[tuple[_Kinds, Callable[[str], FrontMatter | None]], ...] = (
    (("Markdown", "text", "reStructuredText", "Org"), _commented),
    (("reStructuredText",), _docinfo),
    (_PROSE, _json),
    (_PROSE, _named),
    (_PROSE, _plain),
    (("Markdown",), _notion),
    (_PROSE, _logseq),
    (_PROSE, _percent),
    (_PROSE, _asciidoc),
    (("text",), _docinfo),
    (_PROSE, _org_keywords),
    (_PROSE, _wiki),
    (_PROSE, _joplin),
    (_PROSE, _first_line),
)
