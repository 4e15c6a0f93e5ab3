"""Front matter, and the title of a note."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from notesearch.notes.structure import one_line

if TYPE_CHECKING:
    import yaml


FrontMatterFormat = Literal["", "yaml", "toml"]

MAX_CHARS = 65_536
MAX_DEPTH = 32
# TOML promises no more; and Python refuses to write out a number of thousands of digits.
_MOST_BITS = 64
_TOO_DEEP = "nested too deeply"

_OPENING = re.compile(r"(---|\+\+\+)[ \t]*(?:\r\n|\r|\n)")
_YAML_CLOSING = re.compile(r"(?:^|(?<=[\r\n]))(?:---|\.\.\.)[ \t]*(?:\r\n|\r|\n|\Z)")
_TOML_CLOSING = re.compile(r"(?:^|(?<=[\r\n]))\+\+\+[ \t]*(?:\r\n|\r|\n|\Z)")
_TOML_KEY_PART = r"""(?:(?<![\w-])[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
# One of these is read in a time that grows with the square of its parts.
_LONG_TOML_KEY = re.compile(rf"{_TOML_KEY_PART}(?:[ \t]*+\.[ \t]*+{_TOML_KEY_PART}){{{MAX_DEPTH}}}")
# What begins as a mapping, even if an error follows: a key, one in quotation marks or after `?`, braces, a table.
_KEY = re.compile(
    r"""(?:[\w-]+(?: [\w-]+){0,2}|"[^"\r\n]+"|'[^'\r\n]+'|\{[ \t]*["'\w][^:\r\n]*)[ \t]*:(?!//)|\?[ \t]"""
    r"""|[\w."' -]+=|\[[\w."' -]+\][ \t]*[\r\n]"""
)
_BLANK_LINE = re.compile(r"[ \t]*[\r\n]")
_COMMENTS = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*+")
_ONE_WORD = re.compile(r"[\w.-]+")
_TOML_ERROR_LINE = re.compile(r"at line (\d+)")


@dataclass(frozen=True, slots=True)
class HeaderForm:
    """A form of metadata that is no front matter in YAML or TOML; see `notes.headers`.

    Attributes:
        name: As a message calls it, with its article.
        field: A line with a key and a value, its end included, where it is made of such lines.
        more: A line that goes on with the value above.
        marks: What stands before and behind the key of a line of tags; None where tags are not written.
        divides_at_semicolons: Whether tags with semicolons between are divided there, and not at commas.
        control_tags: Tags by which its program does something to a note.
    """

    name: str
    field: re.Pattern[str] | None = None
    more: re.Pattern[str] | None = None
    marks: tuple[str, str] | None = None
    divides_at_semicolons: bool = False
    control_tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What stands at the top of a note.

    Attributes:
        data: The mapping; empty where there is none or it could not be read. YAML scalars are text as written
            (`1.10`, `no`, `2024-02-31`), TOML values have their types.
        body_start: Where the note's own text begins; 0 where the front matter could not be read, or is text as well.
        format: How it is written; empty where there is none, or it has another form.
        span: Start and end of the content, without the delimiter lines.
        end: One past the closing delimiter line, also where the content could not be read; 0 where there is none.
        problem: What is wrong with it, in one line; empty where nothing is.
        form: Its form, where that is another one.
    """

    data: dict[str, Any] = field(default_factory=dict)
    body_start: int = 0
    format: FrontMatterFormat = ""
    span: tuple[int, int] = (0, 0)
    end: int = 0
    problem: str = ""
    form: HeaderForm | None = None


def parse_front_matter(text: str) -> FrontMatter:
    """Read the front matter of a note; never raises.

    Args:
        text: The note, without a byte order mark.

    Returns:
        The front matter; empty where the note has none.
    """
    opening = _OPENING.match(text)
    if opening is None:
        return FrontMatter()
    is_yaml = opening[1] == "---"
    closing = (_YAML_CLOSING if is_yaml else _TOML_CLOSING).search(text, opening.end())
    # A first line of dashes alone may be a rule; with a key under it, front matter was meant.
    if closing is None:
        has_key = _KEY.match(text, opening.end())
        return FrontMatter(problem="front matter: line 1: it is never closed") if has_key else FrontMatter()
    span = (opening.end(), closing.start())
    content = text[slice(*span)]
    written_as: FrontMatterFormat = "yaml" if is_yaml else "toml"
    data, problem = _load(content, load_yaml if is_yaml else load_toml)
    if not _is_meant(content, data):
        return FrontMatter()
    end = closing.end()
    return FrontMatter(data or {}, 0 if data is None else end, written_as, span, end, problem)


def _is_meant(content: str, data: Mapping[str, Any] | None) -> bool:
    """Whether what stands between two lines of dashes is front matter, and not text between two rules.

    Pandoc takes the first line for a rule where a blank line follows. Others do not, so there it is front matter where
    each of its keys is a single word.
    """
    if not content.strip():
        return True
    if _BLANK_LINE.match(content):
        return bool(data) and all(_ONE_WORD.fullmatch(str(key)) for key in data or ())
    return data is not None or bool(_KEY.match(_COMMENTS.sub("", content, count=1)))


_Load = Callable[[str], tuple[dict[str, Any] | None, str]]


def _load(content: str, load: _Load) -> tuple[dict[str, Any] | None, str]:
    """The mapping (None where it cannot be read) and what is wrong."""
    if len(content) > MAX_CHARS:
        return None, f"front matter: longer than {MAX_CHARS} characters"
    return load(content)


def load_yaml(content: str) -> tuple[dict[str, Any] | None, str]:
    """The mapping that YAML holds (None where it cannot be read), and what is wrong."""
    import yaml

    # The base loader makes text, lists and dicts only: it knows no tags such as !!python/…, and it keeps what the
    # owner wrote, where the safe loader turns the tag `no` into False and fails on the date 2024-02-31.
    loader_class = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        flaw = _unsafe(content, loader_class)
        if flaw:
            return None, flaw
        root = yaml.compose(content, loader_class)
        if root is None:
            return {}, ""
        if not isinstance(root, yaml.MappingNode):
            return None, ""  # a sentence, or a list
        return yaml.load(content, loader_class), _duplicate_key(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {_line(mark)}: " if mark else ""
        return None, f"front matter: {line}{error.problem or error.context}"
    except (yaml.YAMLError, ValueError) as error:  # ValueError: characters that cannot be encoded
        return None, f"front matter: {' '.join(str(error).split())}"
    except RecursionError:  # from the pure Python loader, which has no nesting limit of its own
        return None, f"front matter: {_TOO_DEEP}"


def _unsafe(content: str, loader_class: Any) -> str:
    """Say why a document must not be built: a few aliases can stand for gigabytes, deep nesting crashes libyaml."""
    import yaml

    depth = 0
    for event in yaml.parse(content, loader_class):
        if isinstance(event, yaml.AliasEvent):
            return f"front matter: line {_line(event.start_mark)}: aliases are not supported"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            return f"front matter: line {_line(event.start_mark)}: {_TOO_DEEP}"
    return ""


def _duplicate_key(root: yaml.MappingNode) -> str:
    seen: set[str] = set()
    for key, _ in root.value:
        name = str(key.value)
        if name in seen:
            line = _line(key.start_mark)
            return f"front matter: line {line}: the key {one_line(name)!r} occurs twice, the last one counts"
        seen.add(name)
    return ""


def _line(mark: Any) -> int:
    """The line of the file for a place in the content, which begins on the second line."""
    return int(mark.line) + 2


def load_toml(content: str) -> tuple[dict[str, Any] | None, str]:
    """The mapping that TOML holds (None where it cannot be read), and what is wrong."""
    import tomllib

    if _LONG_TOML_KEY.search(content):
        return None, f"front matter: {_TOO_DEEP}"
    try:
        data = tomllib.loads(content)
    except RecursionError:
        return None, f"front matter: {_TOO_DEEP}"
    except ValueError as error:
        message = _TOML_ERROR_LINE.sub(lambda match: f"at line {int(match[1]) + 1}", str(error))
        return None, f"front matter: {message}"
    flaw = flaw_of(data)
    return (None, f"front matter: {flaw}") if flaw else (data, "")


def flaw_of(data: dict[str, Any]) -> str:
    """Say what in a mapping could be neither walked through nor written as text."""
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH + 1):
        if any(isinstance(value, int) and value.bit_length() > _MOST_BITS for value in level):
            return f"a number has more than {_MOST_BITS} bits"
        containers = [value for value in level if isinstance(value, dict | list)]
        if not containers:
            return ""
        level = [item for value in containers for item in (value.values() if isinstance(value, dict) else value)]
    return _TOO_DEEP
