"""The values that travel between the parts of notesearch: frozen, with hardly any behaviour, without dependencies."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

BlockKind = Literal["heading", "paragraph", "code"]
TitleSource = Literal["front_matter", "heading", "file_name"]
LinkKind = Literal["wiki", "relative", "id"]
Mode = Literal["hybrid", "dense", "lexical"]
"""Which retrievers take part in a search."""
Rerank = Literal["none", "maxsim", "cross-encoder"]
"""What scores the best hits of a search again."""
RerankMethod = Literal["maxsim", "dense", "cross-encoder"]
"""What scores the candidates that another program has found."""
SearchStage = Literal["lexical", "dense", "hybrid", "maxsim", "cross-encoder"]
"""The stages of a search, as an evaluation scores them."""
WordsOf = Literal["", "title", "text"]
"""Among which words of a note those of a property count; empty where they stand there anyway, or say nothing."""
PropertyOperator = Literal["", "=", "!=", "<", "<=", ">", ">="]
"""How a property is to compare with a value; empty where it may have any."""
TestSplit = Literal["random", "time"]
"""How the notes are chosen that are held out to test on: at random, or the newest."""

_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Link:
    """A link from one note to another, as written: the target is not resolved.

    Attributes:
        target: Note name, relative path or id, without alias and without `#heading`.
        anchor: The words that carry the link (a wikilink's alias, else its target).
        kind: `wiki` for `[[target|anchor]]`, `relative` for `[anchor](target.md)` and what else gives a path, `id` for
            Org's `[[id:target][anchor]]`.
        start: Its first character, an offset into the note's text; wherever it stands, it is the same link.
        end: One past its last character; 0 for a link in metadata, which stands at no place of the text.
        line: Where it begins, 1-based; 0 in metadata.
    """

    target: str
    anchor: str
    kind: LinkKind
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Block:
    """A structural piece of a note: `note.text[start:end]`, whole lines, without the blank lines around it.

    Attributes:
        kind: `heading`, `paragraph` (anything that is prose, list or table) or `code`.
        start: First character, an offset into the note's text.
        end: One past the last character.
        level: Depth of a heading from 1; 0 for other kinds.
        title: A heading's words without markup; empty for other kinds.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    title: str = ""


class Property(NamedTuple):
    """One value that a note gives to one of its properties.

    Attributes:
        name: Of the property, as written.
        value: As written.
        compared: The value as text that others are compared with.
        number: The value, where it is a number.
        moment: The value, where it is a date, naive local time.
        words: Among which words of the note those of the value count.
    """

    name: str
    value: str
    compared: str
    number: float | None = None
    moment: datetime | None = None
    words: WordsOf = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A note as read from its file.

    Attributes:
        path: Absolute path of the file.
        title: From the front matter, else its one level-1 heading at its top, else the name of its file. In an index, a
            heading names a note only where no other note of the folder has it.
        title_source: Which of these it was; documents may have their title from any heading.
        text: The decoded file, without a byte order mark; line endings are kept as they are. Of a document (PDF, say):
            what was read of it, which is what lines and offsets refer to.
        blocks: The body in order; the front matter is in no block, unless it is all there is.
        tags: The owner's tags in order of appearance, without `#`, each once.
        links: Links to other notes, in order of appearance.
        date: From the front matter, else from a file name that begins with one, else the file's modification time;
            naive local time.
        problems: What was wrong yet did not stop the reading, one line each.
        hidden: Spans of the text that are no words of it (Org's drawers, images in it), ascending and disjoint.
        ids: By which links of the kind `id` may call it.
        page_starts: Where each page begins, offsets into the text; none where there are no pages.
        part_tags: The last of its tags, which are not the whole note's, but those of parts (headings in Org).
        properties: What it says of itself in keys and values, one for each value of a list, in order.
        naming_heading: The heading that names it or would, did no other note have it; empty where there is none.
    """

    path: Path
    title: str
    title_source: TitleSource
    text: str
    blocks: tuple[Block, ...]
    tags: tuple[str, ...]
    links: tuple[Link, ...]
    date: datetime
    problems: tuple[str, ...] = ()
    hidden: tuple[tuple[int, int], ...] = ()
    ids: tuple[str, ...] = ()
    page_starts: tuple[int, ...] = ()
    part_tags: tuple[str, ...] = ()
    properties: tuple[Property, ...] = ()
    naming_heading: str = ""

    @property
    def file_tags(self) -> tuple[str, ...]:
        """The tags of the whole note."""
        return self.tags[: len(self.tags) - len(self.part_tags)]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a note that is encoded and found as one.

    Attributes:
        start: First character, an offset into the note's text.
        end: One past the last character: `note.text[start:end] == text`, but for what is hidden in it.
        start_line: First line, 1-based.
        end_line: Last line, inclusive.
        heading: Titles of the headings above it, outermost first, joined by " > "; the note's title is not repeated.
        text: The characters of the span; spaces in the place of those that are hidden.
        page: The page that it begins on, from 1; 0 where there are no pages.
        end_page: The page that it ends on.
    """

    start: int
    end: int
    start_line: int
    end_line: int
    heading: str
    text: str
    page: int = 0
    end_page: int = 0


@dataclass(frozen=True, slots=True)
class Chunking:
    """How notes are cut into chunks.

    Attributes:
        budget_tokens: The most tokens of a chunk's own text; its title and headings come on top.
        overlap_sentences: Sentences of a chunk repeated at the start of the next, when a block had to be cut.
    """

    budget_tokens: int = 192
    overlap_sentences: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not indexed, or not as its owner meant it, and why.

    Attributes:
        path: Absolute path as text (undecodable bytes of a name are shown as U+FFFD).
        reason: A short clause, e.g. `binary file`.
        for_now: Whether it may be readable another time (a permission, an I/O error), so that what the index knows of
            it is kept.
        by_rule: Whether it was left out on purpose (too large, a link out of the folder); else it could not be read.
    """

    path: str
    reason: str
    for_now: bool = False
    by_rule: bool = False


@dataclass(frozen=True, slots=True)
class HeldWords:
    """A word that a note must hold, or words one after another.

    Attributes:
        text: The words.
        exact: Whether they must stand there letter by letter, rather than in any form.
        in_title: Whether only the title counts.
        excluded: Whether the note must not hold them.
    """

    text: str
    exact: bool = False
    in_title: bool = False
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class PropertyCondition:
    """What must hold for a property of a note, or for one of its values where it has several.

    Numbers are compared with numbers and dates with dates, all else as text.

    Attributes:
        name: Of the property.
        operator: How to compare; `!=` also holds where the note has no such property.
        compared: The value, as text that others are compared with.
        number: The value, where it is a number.
        first: The first moment that is meant, where it is a date or a period, naive local time.
        last: The last moment that is meant.
    """

    name: str
    operator: PropertyOperator = ""
    compared: str = ""
    number: float | None = None
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which notes a search may return. Empty filters admit every note.

    Attributes:
        tags: Each must be on the note; a tag also stands for the tags nested under it (`a` admits `a/b`).
        excluded_tags: None may be on the note, nested ones included.
        paths: Of each, the globs that may be meant (see `path_globs`), the first that matches any note counts. It is
            matched against the absolute path and the path below the indexed folder; a folder stands for all below it.
        excluded_paths: The same for paths that a note must not have.
        since: Earliest date of the note, inclusive.
        until: Latest date of the note, inclusive.
        held: Words that the note must hold, or must not.
        notes: Ids of the only notes, where not all may be returned.
        where: All must hold for the note's properties.
    """

    tags: tuple[str, ...] = ()
    excluded_tags: tuple[str, ...] = ()
    paths: tuple[tuple[str, ...], ...] = ()
    excluded_paths: tuple[tuple[str, ...], ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    held: tuple[HeldWords, ...] = ()
    notes: tuple[int, ...] | None = None
    where: tuple[PropertyCondition, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A note, or a line of one, that another program has found.

    Attributes:
        path: Absolute path of the file.
        line: The line, 1-based; `None` for the whole note.
    """

    path: Path
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A word of a query, and the word of a passage that meets it best in late interaction.

    Attributes:
        query_token: As typed.
        matched: As it stands in the passage.
        start: Its first character in the file, an offset into the decoded text; `None` where the word stands only in
            the title or headings that the passage is read with.
        end: One past its last character, or `None`.
        score: Their cosine, each in its own context, from 0 to 1; an estimate.
    """

    query_token: str
    matched: str
    start: int | None
    end: int | None
    score: float = field(metadata={"decimals": 4})


@dataclass(frozen=True, slots=True)
class MetProperty:
    """A property of a note in which words of a query stand.

    Attributes:
        name: Of the property.
        value: Its value; of a long one, the part that meets the query best.
    """

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A note found by a search, with the passage that answers best.

    Attributes:
        rank: From 1.
        score: Higher is better; comparable within one result list.
        path: Absolute path of the note.
        title: The note's title.
        heading: Heading path of the passage, outermost first, joined by " > ".
        start_line: First line of the passage in the file, 1-based.
        end_line: Last line of the passage, inclusive.
        snippet: The most telling lines of the passage, whitespace collapsed.
        tags: The note's tags.
        date: The note's date.
        scores: The score's parts by name (`lexical`, `dense`, `late`, …), each on its own scale; a part that did not
            take part is absent.
        more_passages: How many other passages the note has (of those that hold the phrases, where there are any).
        highlights: Character spans `(start, end)` of `snippet` that match words of the query.
        contributions: What each part adds to `score`; empty where that is no sum: BM25 as it is, the score of a
            cross-encoder, or that of a note which was not scored again as those above it were.
        strengths: How well each highlight matches, 0 to 1; 1 for another form of the same word.
        evidence: How late interaction sees the passage, in the query's order; empty where it took no part.
        page: The page that the passage begins on, from 1; `None` where there are no pages. Lines and offsets are those
            of the text that was read then.
        end_page: The page that it ends on.
        properties: Properties in which words of the query stand that the snippet and the title lack.
        collection: The collection that the note is in, where several were searched; of several, the first.
        also: Words of the note that were searched for in the place of a mistyped one.
        weaker: Whether the query is likely to have no answer here, or the answers end above.
    """

    rank: int
    score: float
    path: str
    title: str
    heading: str
    start_line: int
    end_line: int
    snippet: str
    tags: tuple[str, ...]
    date: str
    scores: dict[str, float] = field(default_factory=dict)
    more_passages: int = 0
    highlights: tuple[tuple[int, int], ...] = ()
    contributions: dict[str, float] = field(default_factory=dict)
    strengths: tuple[float, ...] = field(default=(), metadata={"decimals": 4})
    evidence: tuple[Evidence, ...] = ()
    page: int | None = None
    end_page: int | None = None
    properties: tuple[MetProperty, ...] = ()
    collection: str = field(default="", metadata={"leave_out_empty": True})
    also: tuple[str, ...] = field(default=(), metadata={"leave_out_empty": True})
    weaker: bool = field(default=False, metadata={"leave_out_empty": True})


HitKind = TypeVar("HitKind", bound=Hit)


def extend_hit(hit: Hit, kind: type[HitKind], **more: Any) -> HitKind:
    """Makes a hit of a kind that has further fields, which are given."""
    return kind(**{own.name: getattr(hit, own.name) for own in fields(Hit)}, **more)


def as_json(value: Any, leave_out: Collection[str] = (), decimals: int = _DECIMALS) -> Any:
    """A record as JSON's types: its fields' names are the keys, and numbers are rounded.

    Fields may say in their metadata to how many `decimals`, and whether to `leave_out_empty` values.

    Args:
        value: A record, or what stands in one.
        leave_out: Fields of the record that are left out.
        decimals: To how many decimals numbers are rounded, where a field does not say.
    """
    if isinstance(value, float):
        return round(value, decimals)
    if isinstance(value, tuple):
        return [as_json(part, decimals=decimals) for part in value]
    if isinstance(value, dict):
        return {key: as_json(part, decimals=decimals) for key, part in value.items()}
    if is_dataclass(value):
        return {
            own.name: as_json(getattr(value, own.name), decimals=own.metadata.get("decimals", decimals))
            for own in fields(value)
            if own.name not in leave_out and (getattr(value, own.name) or not own.metadata.get("leave_out_empty"))
        }
    return value


@dataclass(frozen=True, slots=True)
class TagScore:
    """A tag that a note might get.

    Attributes:
        tag: The tag, as its owner writes it.
        score: How likely its owner would give it, from 0 to 1.
        suggested: Whether it is suggested.
        present: Whether the note has it already.
    """

    tag: str
    score: float
    suggested: bool
    present: bool = False


@dataclass(frozen=True, slots=True)
class SimilarNote:
    """A note that carries a tag.

    Attributes:
        path: Absolute path; empty for a text that is in no file.
        title: Its title.
        similarity: Cosine of its embedding with that of the note to tag.
        shares_title: Whether other notes have this title too, so that the path must stand beside it.
    """

    path: str
    title: str
    similarity: float
    shares_title: bool = False


@dataclass(frozen=True, slots=True)
class Because:
    """Why a tag is suggested.

    Attributes:
        tag: The tag.
        notes: The owner's most similar notes with this tag, closest first.
        words: Words and pairs of words of the note that speak most for it.
    """

    tag: str
    notes: tuple[SimilarNote, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggestions:
    """The tags that a note might get.

    Attributes:
        path: Absolute path of the note.
        title: Its title.
        tags: The likeliest ones, best first.
        because: Why, for those that are suggested.
    """

    path: str
    title: str
    tags: tuple[TagScore, ...]
    because: tuple[Because, ...]

    @property
    def suggested(self) -> tuple[str, ...]:
        """The tags that are suggested."""
        return tuple(tag.tag for tag in self.tags if tag.suggested)

    @property
    def new_tags(self) -> tuple[str, ...]:
        """The tags that are suggested and that the note does not have yet."""
        return tuple(tag.tag for tag in self.tags if tag.suggested and not tag.present)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run of `index` did.

    Attributes:
        added: Notes new to the index.
        updated: Notes whose content changed.
        removed: Notes no longer there.
        unchanged: Notes left alone.
        renamed: Notes that moved; their vectors were kept.
        skipped: Files that were not indexed, and why.
        problems: Notes indexed in spite of something wrong in them, and what.
        notes: Notes in the index now.
        chunks: Chunks in the index now.
        encoded: Chunks that had to be encoded in this run.
        seconds: Wall-clock time of the run.
        not_read: How many documents of each kind were left out because what reads them is not installed.
    """

    added: int
    updated: int
    removed: int
    unchanged: int
    renamed: int
    skipped: tuple[Skipped, ...]
    problems: tuple[Skipped, ...]
    notes: int
    chunks: int
    encoded: int
    seconds: float
    not_read: dict[str, int] = field(default_factory=dict)
