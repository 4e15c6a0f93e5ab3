"""Collections with judgements, in BEIR's and TREC's layouts: documents, queries, and which of them answer which."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from notesearch.errors import UsageError
from notesearch.evaluation.measures import RankingTask
from notesearch.files import make_private_folder, read_jsonl, read_lines
from notesearch.records import Skipped

_LAYOUTS = (
    "It should hold corpus.jsonl, queries.jsonl and qrels.tsv or qrels/test.tsv (BEIR), "
    'or notes and a queries.jsonl with lines like {"_id": "1", "text": "…", "relevant": ["folder/note.md"]}.'
)
_QRELS = "A line is: query, iteration, document, relevance (TREC); or query, document, relevance, tabs between (BEIR)."
_TOPICS = 'It should hold TREC topics (<top>), lines of id, tab and text, or lines like {"_id": "1", "text": "…"}.'
_RUN = "A line is: query, Q0, document, rank, score, name of the run."

# The name that `search --format trec` gives its runs.
OWN_RUN = "notesearch"
# As BEIR names its judgements; the first that exists is taken.
_QRELS_FILES = ("qrels.tsv", "qrels/test.tsv", "qrels/dev.tsv", "qrels/train.tsv")
_TOPIC = re.compile(r"<top>(.*?)(?:</top>|(?=<top>)|\Z)", re.DOTALL | re.IGNORECASE)
_FIELD = re.compile(r"<(num|title|desc)>\s*(?:(?:number|topic|description)\s*:)?([^<]*)", re.IGNORECASE)
_COPY = re.compile(r"\d{6,}\.\w+")


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection with judgements.

    Attributes:
        queries: Query id → text; judged queries only.
        qrels: Query id → document id → gain, greater than 0; in the order of the queries.
        grades: Query id → the kind of query that it is; empty where the collection has no grades.
        notes_dir: The notes themselves, where the collection is a folder of notes; documents are their paths below it.
        corpus_file: Else, the documents as JSON lines with `_id`, `title` and `text`.
        document_ids: Path below `notes_dir` → document id, where the notes are copies under other names.
        skipped: What cannot be used, and why.
    """

    queries: dict[str, str]
    qrels: dict[str, dict[str, float]]
    grades: dict[str, str]
    notes_dir: Path | None
    corpus_file: Path | None
    document_ids: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    def sampled(self, most: int) -> Collection:
        """The same collection with every n-th query, so that no more than `most` remain; with all where `most` is 0."""
        step = math.ceil(len(self.queries) / most) if most else 1
        kept = dict.fromkeys(list(self.queries)[::step])
        return replace(
            self,
            queries={query_id: self.queries[query_id] for query_id in kept},
            qrels={query_id: self.qrels[query_id] for query_id in kept},
            grades={query_id: grade for query_id, grade in self.grades.items() if query_id in kept},
        )

    def qrels_of(self, grade: str) -> dict[str, dict[str, float]]:
        """The judgements of the queries of one grade."""
        return {query_id: gains for query_id, gains in self.qrels.items() if self.grades.get(query_id) == grade}

    def missing_documents(self, ids: Iterable[str]) -> list[str]:
        """Those that are not documents of the collection; none where the collection has no documents."""
        if self.corpus_file:
            known = {str(record["_id"]) for _, record in read_jsonl(self.corpus_file, ("_id",), _LAYOUTS)}
            return [document_id for document_id in ids if document_id not in known]
        if self.notes_dir and not self.document_ids:
            folder = self.notes_dir
            return [document_id for document_id in ids if not _is_file(folder / document_id)]
        return []


def read_collection(
    directory: Path | None,
    *,
    qrels_file: Path | None = None,
    topics_file: Path | None = None,
    only_runs: bool = False,
) -> Collection:
    """Reads a collection, in any layout.

    Args:
        directory: The documents, and whatever of the rest is not named; `None` where there are no documents.
        qrels_file: The judgements: of TREC or BEIR.
        topics_file: The queries: TREC topics, lines of an id, a tab and a text, or JSON lines.
        only_runs: Whether only runs are to be scored, so that queries need no text.

    Raises:
        UsageError: A file is missing, or a line of it is not as it should be.
    """
    corpus_file = _existing(directory, ("corpus.jsonl",))
    topics_file = topics_file or _existing(directory, ("queries.jsonl",))
    qrels_file = qrels_file or _existing(directory, _QRELS_FILES)
    if not topics_file and not only_runs:
        raise UsageError(f"no queries.jsonl in {directory}", _LAYOUTS)
    if corpus_file and not qrels_file:
        raise UsageError(f"no qrels.tsv in {directory}", _LAYOUTS)
    records = read_topics(topics_file) if topics_file else []
    judged = read_qrels(qrels_file) if qrels_file else {str(r["_id"]): _relevant(r) for r in records}
    texts = {str(r["_id"]): _text(r) for r in records}
    if only_runs:
        texts |= {query_id: query_id for query_id in judged if not texts.get(query_id)}
    relevant = {query_id: {doc: gain for doc, gain in gains.items() if gain > 0} for query_id, gains in judged.items()}
    if directory and not corpus_file:
        below = _paths_below(directory)
        relevant = {query_id: {below(doc): gain for doc, gain in gains.items()} for query_id, gains in relevant.items()}
    queries = {query_id: text for query_id, text in texts.items() if text and relevant.get(query_id)}
    source = qrels_file or topics_file
    if not queries:
        raise UsageError(f"{source or directory} has no judged query", _LAYOUTS)
    without_text = [query_id for query_id, gains in relevant.items() if gains and not texts.get(query_id)]
    named = f"without a text, {without_text[0]} for one" if without_text else ""
    irrelevant = sum(1 for gains in relevant.values() if not gains)
    return Collection(
        queries=queries,
        qrels={query_id: relevant[query_id] for query_id in queries},
        grades={str(r["_id"]): str(r["grade"]) for r in records if "grade" in r and str(r["_id"]) in queries},
        notes_dir=None if corpus_file else directory,
        corpus_file=corpus_file,
        skipped=(
            *_counted(source, len(without_text), "judged query", "judged queries", named),
            *_counted(source, irrelevant, "query", "queries", "without a relevant document"),
        ),
    )


def read_run_for(collection: Collection, path: Path) -> tuple[dict[str, list[str]], list[Skipped]]:
    """Reads a run, and counts what in it the collection does not know.

    Queries that are not judged are left out. A document that is not in the collection keeps its rank, as it does for
    trec_eval. What `search --format trec` has written without spaces is known by its name, also to judgements that have
    none either.

    Raises:
        UsageError: See `read_run`.
    """
    judged = _by_name(document_id for gains in collection.qrels.values() for document_id in gains)
    asked = _by_name(collection.qrels)
    run = {
        asked.get(query_id, query_id): [judged.get(document_id, document_id) for document_id in documents]
        for query_id, documents in read_run(path).items()
    }
    known = {query_id: documents for query_id, documents in run.items() if query_id in collection.qrels}
    if collection.notes_dir:
        below = _paths_below(collection.notes_dir)
        known = {query_id: list(dict.fromkeys(map(below, documents))) for query_id, documents in known.items()}
    absent = len(collection.qrels) - len(known)
    strange = collection.missing_documents(dict.fromkeys(doc for documents in known.values() for doc in documents))
    return known, [
        *_counted(path, len(run) - len(known), "query", "queries", "not among those judged"),
        *_counted(path, absent, "judged query", "judged queries", "not in the run: 0 for each"),
        *_counted(path, len(strange), "document", "documents", "not in the collection"),
    ]


def read_qrels(path: Path) -> dict[str, dict[str, float]]:
    """Reads judgements, of TREC (four columns) or BEIR (three, tabs between, with a header or without).

    Returns:
        Query id → document id → gain; 0 or less for what is not relevant.

    Raises:
        UsageError: The file cannot be read, or holds no judgement, or a line that is not one.
    """
    qrels: dict[str, dict[str, float]] = {}
    for place, (number, line) in enumerate(read_lines(path, _QRELS)):
        judgement = _judgement(line)
        if judgement:
            query_id, document_id, gain = judgement
            qrels.setdefault(query_id, {})[document_id] = gain
        elif place > 0 or not _columns(line, 3):  # the first line may be a header
            raise UsageError(f"{path}, line {number} is not a judgement", _QRELS)
    if not qrels:
        raise UsageError(f"{path} holds no judgement", _QRELS)
    return qrels


def read_topics(path: Path) -> list[dict[str, Any]]:
    """Reads queries: TREC topics, lines of an id, a tab and a text, or JSON lines.

    Of a TREC topic, the title is the query; its description only where it has no title.

    Returns:
        Records with `_id` and `text`, and whatever else JSON lines say.

    Raises:
        UsageError: The file cannot be read, something in it is not a query, or two queries have the same id.
    """
    records: dict[str, dict[str, Any]] = {}
    for place, record in _read_topics(path):
        query_id = str(record["_id"])
        if query_id in records:
            raise UsageError(f"{path}, {place} has the id {query_id} again", "Give each query an id of its own.")
        records[query_id] = record
    return list(records.values())


def _read_topics(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records, and where in the file each is."""
    lines = list(read_lines(path, _TOPICS))
    if not lines or lines[0][1].lstrip().startswith("{"):
        for number, record in read_jsonl(path, ("_id", "text"), _TOPICS):
            yield f"line {number}", record
    elif any("<top>" in line.lower() for _, line in lines):
        for number, topic in enumerate(_TOPIC.findall("\n".join(line for _, line in lines)), start=1):
            fields = {name.lower(): " ".join(value.split()) for name, value in _FIELD.findall(topic)}
            if not fields.get("num"):
                raise UsageError(f"{path}: topic {number} has no <num>", _TOPICS)
            yield f"topic {number}", {"_id": fields["num"], "text": fields.get("title") or fields.get("desc", "")}
    else:
        for number, line in lines:
            query_id, tab, text = line.partition("\t")
            if not tab:
                raise UsageError(f"{path}, line {number} is not a query", _TOPICS)
            yield f"line {number}", {"_id": query_id.strip(), "text": text.strip()}


def read_run(path: Path) -> dict[str, list[str]]:
    """Reads a run, and ranks it as trec_eval does: by score, and documents with one score by id, descending.

    The column for the rank is ignored. In the runs of `search --format trec`, spaces in ids are written as in a URL.

    Returns:
        Query id → document ids, best first.

    Raises:
        UsageError: The file cannot be read, or is empty, or a line is not one of a run, or names a document again.
    """
    scores: dict[str, dict[str, float]] = {}
    for number, line in read_lines(path, _RUN):
        columns = _columns(line, 6) or line.split()
        try:
            query_id, _, document_id, _, score = columns[:5]
            value = float(score)
            if len(columns) != 6 or math.isnan(value):
                raise ValueError
            if columns[5] == OWN_RUN:
                query_id, document_id = unquote(query_id), unquote(document_id)
        except ValueError as error:
            raise UsageError(f"{path}, line {number} is not a line of a run", _RUN) from error
        of_query = scores.setdefault(query_id, {})
        if document_id in of_query:
            raise UsageError(
                f"{path}, line {number} names document {document_id} for query {query_id} again",
                "Leave each document of a query in once, with its best score.",
            )
        of_query[document_id] = value
    if not scores:
        raise UsageError(f"{path} is empty", _RUN)
    return {query_id: _ranked(of_query) for query_id, of_query in scores.items()}


def _ranked(scores: dict[str, float]) -> list[str]:
    # trec_eval keeps a score as a 32-bit float: what differs further back is a tie.
    with np.errstate(over="ignore"):
        rounded = np.array(list(scores.values())).astype(np.float32).tolist()
    ranked = sorted(zip(rounded, scores, strict=True), reverse=True)
    return [document_id for _, document_id in ranked]


def _judgement(line: str) -> tuple[str, str, float] | None:
    """Query, document and gain."""
    columns = _columns(line, 3) or _columns(line, 4) or line.split()
    if len(columns) != 4 and not _columns(line, 3):
        return None
    try:
        gain = float(columns[-1])
    except ValueError:
        return None
    return (columns[0], columns[-2], gain) if math.isfinite(gain) else None


def _columns(line: str, count: int) -> list[str]:
    """The columns between tabs, where there are so many: then an id may hold spaces."""
    columns = [column.strip() for column in line.split("\t")]
    return columns if len(columns) == count else []


def write_corpus_as_notes(corpus_file: Path, folder: Path) -> dict[str, str]:
    """Writes each document of a BEIR corpus as a Markdown note; see `write_copies`.

    Returns:
        File name → document id.
    """
    ids: list[str] = []

    def texts() -> Iterator[tuple[str, str]]:
        for _, record in read_jsonl(corpus_file, ("_id", "text"), _LAYOUTS):
            ids.append(str(record["_id"]))
            title = re.sub(r"\s+", " ", str(record.get("title") or "")).strip()
            heading = f"# {title}\n\n" if title else ""
            yield ".md", f"{heading}{record['text']}\n"

    return dict(zip(write_copies(folder, texts()), ids, strict=True))


def write_copies(folder: Path, texts: Iterable[tuple[str, str]]) -> list[str]:
    """Writes notes with numbers for names, in place of all that were written there before, for their owner only.

    Args:
        folder: Where; what else is in it stays.
        texts: The suffix of each, with its dot, and its text.

    Returns:
        The names of the files.

    Raises:
        UsageError: They cannot be written.
    """
    names = []
    try:
        make_private_folder(folder)
        for number, (suffix, text) in enumerate(texts):
            names.append(f"{number:06d}{suffix}")
            (folder / names[-1]).write_text(text, encoding="utf-8", errors="replace", newline="")
        written = set(names)
        for path in folder.iterdir():
            if _COPY.fullmatch(path.name) and path.name not in written:
                path.unlink()
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}", "Is the disk full?") from error
    return names


def general_set() -> RankingTask:
    """Queries and passages in ordinary English, to see whether an encoder still understands it after tuning.

    They were written for notesearch, and nothing was ever trained on them.
    """
    folder = Path(__file__).parent
    passages, queries = (
        [record for _, record in read_jsonl(folder / f"general_{kind}.jsonl", ("_id", "text"), _LAYOUTS)]
        for kind in ("passages", "queries")
    )
    return RankingTask(
        queries=tuple(query["text"] for query in queries),
        passages=tuple(passage["text"] for passage in passages),
        documents=tuple(passage["_id"] for passage in passages),
        relevant=tuple(frozenset(query["relevant"]) for query in queries),
    )


def _existing(directory: Path | None, names: Sequence[str]) -> Path | None:
    if directory is None:
        return None
    return next((directory / name for name in names if (directory / name).is_file()), None)


def _relevant(record: dict[str, Any]) -> dict[str, float]:
    relevant = record.get("relevant", [])
    if not isinstance(relevant, list):
        raise UsageError(f'query {record["_id"]}: "relevant" is not a list of notes', _LAYOUTS)
    return {str(path): 1.0 for path in relevant}


def _text(record: Mapping[str, Any]) -> str:
    """A query's text; empty where it holds no word, but quotation marks, say, or what cannot be encoded."""
    text = str(record["text"]).strip()
    readable = text.encode("utf-8", "ignore").decode("utf-8")
    return text if readable.replace('"', " ").replace("\0", " ").strip() else ""


def _counted(path: Path | None, count: int, one: str, many: str, what: str) -> list[Skipped]:
    return [Skipped(str(path), f"{count:,} {one if count == 1 else many} {what}")] if count else []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # an id may be anything, and of any length
        return False


def _by_name(ids: Iterable[str]) -> dict[str, str]:
    """Ids by themselves, and by what they are called where they are written as in a URL."""
    known = list(ids)
    return {unquote(each): each for each in known} | {each: each for each in known}


def _paths_below(folder: Path) -> Callable[[str], str]:
    """Turns the path of a note, in whatever way it is given, into that below a folder."""
    prefixes = [path + os.sep for path in (os.path.normpath(folder.absolute()), os.path.realpath(folder))]

    def below(name: str) -> str:
        path = os.path.normpath(name)
        path = next((path.removeprefix(prefix) for prefix in prefixes if path.startswith(prefix)), path)
        plain = unquote(path)  # of a run without spaces, or of judgements made from one
        return plain if plain != path and not _is_file(folder / path) and _is_file(folder / plain) else path

    return below
