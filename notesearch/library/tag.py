"""notesearch as a library: suggest tags for notes, write them, take them out again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from notesearch.encoders import models
from notesearch.errors import IndexMissing, NoteNotWritable, NoteUnreadable, TooFewTags, UsageError
from notesearch.files import Stamp, hash_of
from notesearch.indexing import chunking_for
from notesearch.notes import NoteFile, find_notes, read_bytes
from notesearch.records import Because, Skipped, Suggestions
from notesearch.settings import DEFAULT_MODEL, Settings
from notesearch.storage import IndexReader
from notesearch.storage.database import acquire_lock, make_index_dir
from notesearch.tagging.classifier import DEFAULT_NAME, classifier_dir, load_classifier
from notesearch.tagging.features import Content, ContentReader, EncoderSpec
from notesearch.tagging.labels import Labelled, choose_labels, remember_rejections
from notesearch.tagging.taggers import NameTagger, NeighbourTagger, Tagger, TrainedTagger, suggest
from notesearch.words import key_of
from notesearch.writeback.apply import TaggedNote, UndoableRun, WriteReport, apply_tags, diff_of, undo_last, undoable
from notesearch.writeback.replace import check_replaceable

# One note may have a tag by mistake.
_LEAST_NOTES_OF_A_TAG = 2
_HOW_TO_BEGIN = (
    "Tag some notes and index them, train on folder names (train-classifier --labels-from folder), or name tags: "
    '--labels "work, home".'
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class TagRun:
    """What `suggest_tags` found.

    Attributes:
        basis: Of the suggestions: `classifier`, `neighbours` (the nearest tagged notes) or `names` (guesses).
        suggestions: Of each note, by path.
        skipped: Notes that could not be read, and why.
        hashes: BLAKE2b-128 of each note's file as it was read.
    """

    basis: str
    suggestions: tuple[Suggestions, ...]
    skipped: tuple[Skipped, ...]
    hashes: dict[str, bytes] = field(default_factory=dict)


def suggest_tags(
    settings: Settings,
    paths: Sequence[Path] | None = None,
    *,
    labels: str = "",
    classifier: str = DEFAULT_NAME,
    min_score: float | None = None,
    top: int | None = None,
    progress: Progress | None = None,
) -> TagRun:
    """Suggests tags for notes: by a trained classifier, else by the nearest tagged notes, else by the tags' names.

    Args:
        settings: Which index.
        paths: Notes, and folders of notes; `None` for the untagged notes of the index.
        labels: Tags to choose from by what their names mean; others then do not count.
        classifier: Its name.
        min_score: From which score on to suggest, 0 to 1, instead of each tag's own threshold.
        top: The most tags to tell of each note, ≥ 1; `None` for all that are suggested, and the next best up to five.
        progress: Told the passages encoded so far and those to encode.

    Raises:
        UsageError: There is nothing to suggest from, or no note was named and there is no index.
        TooFewTags: The index has too few tags to suggest from.
        ModelError: The classifier or its encoder cannot be used.
        StoreError: There is an index, and it cannot be read.
    """
    reader: IndexReader | None = None
    with ExitStack() as stack:
        with suppress(IndexMissing):
            reader = stack.enter_context(IndexReader(settings.index_dir))
        if paths is None and reader is None:
            raise UsageError("no notes were named, and nothing is indexed", "Name some: notesearch tag ~/notes")
        basis, tagger, contents = _open_tagger(settings, reader, labels, classifier)
        found, skipped = _read(contents, _files(settings, reader, paths))
        if paths is None:  # tagged since it was indexed
            found = [content for content in found if not content.tags]
        vectors = contents.embed(found, progress) if found else None
        suggestions = suggest(tagger, found, vectors, min_score=min_score, top=top) if vectors is not None else []
        suggestions = _with_shared_titles(suggestions, reader.titles() if reader else {})
    hashes = {content.path: content.content_hash for content in found if content.content_hash}
    return TagRun(basis, tuple(suggestions), tuple(skipped), hashes)


def _with_shared_titles(suggestions: Sequence[Suggestions], indexed: dict[str, str]) -> list[Suggestions]:
    """Marks the similar notes whose titles other notes have too, given the titles of the index by path."""
    reasons = [reason for entry in suggestions for reason in entry.because]
    titles = indexed | {note.path: note.title for reason in reasons for note in reason.notes}
    having = Counter(map(key_of, titles.values()))

    def marked(reason: Because) -> Because:
        return replace(
            reason, notes=tuple(replace(note, shares_title=having[key_of(note.title)] > 1) for note in reason.notes)
        )

    return [replace(entry, because=tuple(map(marked, entry.because))) for entry in suggestions]


def encoder_for(settings: Settings, model: str | None, reader: IndexReader | None) -> EncoderSpec:
    """The encoder of a model, else that of the index, else the one that an index would be made with."""
    if model is None and reader:
        return EncoderSpec.of_index(reader)
    config = models.prepare(model or settings.model or DEFAULT_MODEL).config
    return EncoderSpec(config.name, config.fingerprint, chunking_for(config.max_tokens).budget_tokens)


def _open_tagger(
    settings: Settings, reader: IndexReader | None, labels: str, name: str
) -> tuple[str, Tagger, ContentReader]:
    """The basis of suggestions, the tagger, and what reads notes for it."""
    directory = classifier_dir(settings.index_dir, name)
    classifier = None if labels else load_classifier(directory)
    if classifier:
        spec = EncoderSpec(classifier.model, classifier.encoder, classifier.budget_tokens)
    elif not labels and name != DEFAULT_NAME:
        raise UsageError(f"there is no classifier {name!r}", f"Train it: notesearch train-classifier --name {name}")
    elif not labels and reader is None:
        raise UsageError("there are no tags to choose from", _HOW_TO_BEGIN)
    else:
        spec = encoder_for(settings, None, reader)
    contents = ContentReader(reader, spec, max_bytes=settings.max_file_bytes)
    if classifier:
        return "classifier", TrainedTagger(classifier), contents
    if labels:
        return "names", NameTagger(labels, contents.encoder), contents
    assert reader is not None
    tagged = Labelled.by_tags(contents.indexed(reader.note_ids(tagged=True)))
    if not tagged:
        raise TooFewTags("no note of the index has a tag, and no classifier was trained", _HOW_TO_BEGIN)
    examples = choose_labels(tagged, _LEAST_NOTES_OF_A_TAG)
    return "neighbours", NeighbourTagger(examples, contents.embed(examples.contents)), contents


def _files(settings: Settings, reader: IndexReader | None, paths: Sequence[Path] | None) -> Iterator[Path | Skipped]:
    """The files of the notes to tag, each once."""
    if paths is None:
        assert reader is not None
        untagged = reader.notes(reader.note_ids(tagged=False)).values()
        yield from sorted(Path(note.path) for note in untagged)
        return
    seen: set[Path] = set()
    for path in paths:
        for entry in _notes_at(settings, path):
            if isinstance(entry, Skipped) or entry not in seen:
                yield entry
            if not isinstance(entry, Skipped):
                seen.add(entry)


def _notes_at(settings: Settings, path: Path) -> Iterable[Path | Skipped]:
    real = Path(os.path.realpath(path))
    if not real.is_dir():
        return [real]
    entries = find_notes(real, max_bytes=settings.max_file_bytes, follow_symlinks=settings.follow_symlinks)
    return (entry.path if isinstance(entry, NoteFile) else entry for entry in entries)


def _read(contents: ContentReader, files: Iterable[Path | Skipped]) -> tuple[list[Content], list[Skipped]]:
    found: list[Content] = []
    skipped: list[Skipped] = []
    for file in files:
        if isinstance(file, Skipped):
            skipped.append(file)
            continue
        try:
            found.append(contents.file(file))
        except NoteUnreadable as error:
            skipped.append(Skipped(str(file), error.message, error.for_now))
    return found, skipped


def journal_dir(settings: Settings) -> Path:
    """Where the journals of written tags are."""
    return settings.index_dir / "tag-journals"


def write_tags(
    settings: Settings,
    run: TagRun,
    tags: dict[str, tuple[str, ...]],
    *,
    wait_s: float = 0.0,
    waiting: Callable[[], None] | None = None,
) -> WriteReport:
    """Writes tags into notes, and clears what a run that was killed has left beside some.

    Args:
        settings: Which index; its directory keeps the journal to undo from.
        run: What `suggest_tags` found: a note that has changed since is left alone.
        tags: The tags of each note, by path.
        wait_s: How long to wait for another process that is writing tags or taking them out.
        waiting: Called once where there is one to wait for.

    Raises:
        IndexBusy: Another process is writing tags, and did not finish in time.
        StoreError: The journal cannot be written.
    """
    if not tags and not journal_dir(settings).exists():
        return WriteReport((), (), ())
    with _only_writer(settings, wait_s, waiting):
        return apply_tags(journal_dir(settings), _tagged_notes(run, tags))


@contextmanager
def _only_writer(settings: Settings, wait_s: float, waiting: Callable[[], None] | None) -> Iterator[None]:
    """Keeps other processes from writing tags, so that what each has done can be undone."""
    make_index_dir(settings.index_dir)
    with acquire_lock(settings.index_dir, wait_s, waiting, name="tags.lock", what="tags, for the index"):
        yield


def diff_tags(run: TagRun, tags: dict[str, tuple[str, ...]]) -> Iterator[str | Skipped]:
    """What `write_tags` would change: a unified diff of each note, or why it would refuse it."""
    for note in _tagged_notes(run, tags):
        if isinstance(note, Skipped):
            yield note
            continue
        try:
            check_replaceable(note.path)
            yield diff_of(note)
        except NoteNotWritable as error:
            yield Skipped(str(note.path), error.message)


def remember(settings: Settings, rejected: dict[str, tuple[str, ...]]) -> None:
    """Remembers suggestions that were rejected, by the path of the note, for the next training.

    Raises:
        StoreError: They cannot be written.
    """
    if rejected:
        remember_rejections(settings.index_dir, rejected)


def undo_tags(settings: Settings, *, wait_s: float = 0.0, waiting: Callable[[], None] | None = None) -> WriteReport:
    """Takes out again what the last `write_tags` wrote; see `undo_last`.

    Args:
        settings: Which index.
        wait_s: See `write_tags`.
        waiting: See `write_tags`.

    Raises:
        UsageError: There is nothing to undo.
        IndexBusy: Another process is writing tags, and did not finish in time.
        StoreError: A journal cannot be read.
    """
    with _only_writer(settings, wait_s, waiting):
        return undo_last(journal_dir(settings))


def undoable_runs(settings: Settings) -> list[UndoableRun]:
    """The runs whose tags can be taken out again, and what could not be of others; the newest first.

    Raises:
        StoreError: A journal cannot be read, or another process is writing it.
    """
    return undoable(journal_dir(settings))


def _tagged_notes(run: TagRun, tags: dict[str, tuple[str, ...]]) -> Iterator[TaggedNote | Skipped]:
    for path, own in tags.items():
        try:
            data = read_bytes(NoteFile(Path(path), Stamp()))
            if hash_of(data) != run.hashes[path]:
                yield Skipped(path, "changed since it was read")
                continue
        except NoteUnreadable as error:
            yield Skipped(path, error.message)
        else:
            yield TaggedNote(Path(path), data, own)
