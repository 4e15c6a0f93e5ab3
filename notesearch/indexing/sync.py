"""Bringing an index in step with folders of notes: what is new or has changed, what is gone."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from notesearch.encoders import PreparedModel
from notesearch.errors import FolderUnreadable, NoteUnreadable, UsageError
from notesearch.file_kinds import has_reader, is_document
from notesearch.files import Stamp, hash_of
from notesearch.indexing.batches import BATCH_CHUNKS, BatchWriter, Progress, ReadNote
from notesearch.indexing.fingerprints import fingerprint_of, require_same_vectors
from notesearch.notes import NoteFile, Walk, find_notes, named_by_file, note_from_bytes, read_bytes, reader_version
from notesearch.records import Chunking, IndexReport, Note, Skipped
from notesearch.storage import Fingerprint
from notesearch.storage.known import KnownNote
from notesearch.storage.rebuild import forget_rebuilt, rebuilding
from notesearch.storage.rows import KeptNote, SkippedFile
from notesearch.storage.writer import IndexWriter
from notesearch.words import key_of

# What a passage holds beside its chunk: title, headings, special tokens.
_TITLE_TOKENS = 64
# For choosing an encoder before the notes are read.
_BYTES_A_CHUNK = 600
_DOCUMENT_BYTES_A_CHUNK = 10_000


@dataclass(slots=True)
class _Tally:
    """What a run has done so far."""

    added: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    renamed: int = 0
    encoded: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    problems: list[Skipped] = field(default_factory=list)
    not_read: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _ChangedFile:
    """A file that is new or may have changed, and the note that it was, if it was one."""

    folder_id: int
    file: NoteFile
    known: KnownNote | None


def chunking_for(max_tokens: int) -> Chunking:
    """How to cut notes for a model that reads so many tokens: room is left for title, headings and special tokens."""
    return Chunking(budget_tokens=max(16, min(Chunking().budget_tokens, max_tokens - _TITLE_TOKENS)))


class Synchronizer:
    """One run of `index`.

    Args:
        writer: The index.
        model: The bi-encoder, prepared.
        chunking: How notes are cut.
        token_model: A ColBERT model for the token codes; empty for the bi-encoder's own token vectors.
        max_bytes: Larger files are skipped.
        follow_symlinks: Whether links that leave a folder are followed.
        check: Whether to read every file, and not those only whose stamps have changed.
        threads: The most cores to take; `None` for all.
        progress: Told about the progress, if given.
    """

    def __init__(
        self,
        writer: IndexWriter,
        model: PreparedModel,
        *,
        chunking: Chunking,
        max_bytes: int,
        token_model: str = "",
        follow_symlinks: bool = False,
        check: bool = False,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._index = writer
        self._index_dir = Path(os.path.realpath(writer.index_dir))
        self._writer = writer
        self._model = model
        self._chunking = chunking
        self._token_model = token_model
        self._max_bytes = max_bytes
        self._follow_symlinks = follow_symlinks
        self._check = check
        self._threads = threads
        self._progress = progress or (lambda done, total: None)
        self._tally = _Tally()
        self._unreached: set[Path] = set()
        # How many notes have each heading that may name a note, by folder; without those that are still to be read.
        self._headings: dict[int, Counter[str]] = {}

    def run(self, paths: Sequence[Path], *, rebuild: bool = False) -> IndexReport:
        """Brings the index in step with folders; without any, with those it covers already.

        Args:
            paths: The folders.
            rebuild: Whether to make the index anew, of all folders; searches find the old one until it is done.

        Raises:
            FolderUnreadable: A folder is missing, is no folder, or may not be read; the index is as it was.
            UsageError: No folder was given, and the index covers none; or one is the directory of the index.
            IndexMismatch: The index was made with another model or other chunks, and `rebuild` is not set.
            StoreError: The index cannot be written.
        """
        started = time.monotonic()
        anew = rebuild or self._index.is_outdated()
        walks = self._walks(paths, anew=anew)
        found = self._index.fingerprint()
        wanted = fingerprint_of(self._model.config, self._chunking, self._token_model)
        if found and not rebuild:
            require_same_vectors(found, wanted)
        if anew:
            with rebuilding(self._index, wanted, reuse=bool(found) and not rebuild) as self._writer:
                self._bring_in_step(walks, named=bool(paths))
            self._writer = self._index
        else:
            forget_rebuilt(self._index)
            if found is None:
                self._begin(wanted)
            self._bring_in_step(walks, named=bool(paths))
        self._index.keep_coverage()
        self._index.update_vector_file(self._threads)
        notes, chunks = self._index.counts()
        tally = self._tally
        return IndexReport(
            added=tally.added,
            updated=tally.updated,
            removed=tally.removed,
            unchanged=tally.unchanged,
            renamed=tally.renamed,
            skipped=tuple(tally.skipped),
            problems=tuple(tally.problems),
            notes=notes,
            chunks=chunks,
            encoded=tally.encoded,
            seconds=time.monotonic() - started,
            not_read=dict(tally.not_read),
        )

    def _bring_in_step(self, walks: Sequence[tuple[Path, Walk]], *, named: bool) -> None:
        begun = datetime.now(UTC)
        changed: list[_ChangedFile] = []
        gone: dict[str, KnownNote] = {}
        is_first = self._is_first([root for root, _ in walks])
        if is_first:
            self._expect(0)
        for root, walk in walks:
            changed += self._scan(root, walk, gone, named=named)
        if is_first:
            self._expect(self._writer.counts()[0] - len(gone) + sum(entry.known is None for entry in changed))
        batches = BatchWriter(self._writer, self._model, self._chunking, self._token_model, self._threads)
        self._write_changed(changed, gone, batches)
        self._remove(list(gone.values()))
        self._correct_titles(batches)
        self._tally.encoded = batches.encoded
        if self._tally.encoded + self._tally.removed > BATCH_CHUNKS:
            self._writer.tidy()
        self._writer.give_back_space()
        with self._writer.transaction():
            self._writer.set_synced([root for root, _ in walks if root not in self._unreached], begun)

    def _is_first(self, roots: Sequence[Path]) -> bool:
        """Whether one of these folders was never brought in step."""
        synced = self._writer.synced_folders()
        return any(not {root, *root.parents} & synced for root in roots)

    def _expect(self, notes: int) -> None:
        with self._writer.transaction():
            self._writer.expect_notes(notes)

    def _begin(self, fingerprint: Fingerprint) -> None:
        """Begins an empty index; it covers the folders of one that is gone, if there was one."""
        covered = self._writer.coverage().folders
        with self._writer.transaction():
            self._writer.set_fingerprint(fingerprint)
            self._writer.cover(covered)

    def _walks(self, paths: Sequence[Path], *, anew: bool) -> list[tuple[Path, Walk]]:
        """Begins the walk through each folder; one that was asked for and cannot be read raises FolderUnreadable."""
        roots = [Path(os.path.realpath(path)) for path in paths]
        if self._index_dir in roots:
            raise UsageError(
                f"{self._index_dir} is to hold the index, and cannot hold the notes as well",
                "Choose another directory for the index with --index-dir.",
            )
        walks = {root: self._walk(root) for root in roots}
        covered = self._writer.coverage().folders
        anew = anew or self._writer.fingerprint() is None
        if not walks and not covered:
            raise UsageError(
                "no folder to index", "Name one (with -c or --index-dir as here): notesearch index ~/notes"
            )
        # Starting over takes all that the index covers, or the notes of the other folders would be gone.
        for root in covered if anew or not walks else ():
            try:
                walks.setdefault(root, self._walk(root))
            except FolderUnreadable as error:
                # Not a reason to forget its notes: the disk may just not be mounted.
                kept = "its notes are not in the new index" if anew else "its notes are kept"
                self._tally.skipped.append(Skipped(str(root), f"{error.message}; {kept}"))
        # A folder inside another is walked with it.
        return [(root, walk) for root, walk in walks.items() if not any(parent in walks for parent in root.parents)]

    def _walk(self, root: Path) -> Walk:
        within = next((covered for covered in self._writer.coverage().folders if covered in root.parents), None)
        return find_notes(
            root,
            max_bytes=self._max_bytes,
            follow_symlinks=self._follow_symlinks,
            within=within,
            left_out=self._index_dir,
        )

    def _folder_id(self, root: Path) -> int:
        """The covered folder that a folder is or lies in; a new one where there is none."""
        for folder_id, covered in self._writer.folders():
            if root.is_relative_to(covered):
                return folder_id
        with self._writer.transaction():
            return self._writer.add_folder(root)

    def _scan(self, root: Path, walk: Walk, gone: dict[str, KnownNote], *, named: bool) -> list[_ChangedFile]:
        """Compares a folder with the index; adds to `gone` the notes that are no longer there."""
        folder_id = self._folder_id(root)
        below = f"{str(root).rstrip(os.sep)}{os.sep}"
        whole_folder = self._writer.known_notes(folder_id)
        headings = self._headings.setdefault(folder_id, Counter(note.heading_key for note in whole_folder.values()))
        known = {path: note for path, note in whole_folder.items() if path.startswith(below)}
        unreadable = self._writer.unreadable_files(folder_id)
        entries = list(walk)
        self._tally.not_read += walk.not_read
        if known and not entries and not named:
            # Nothing is left of it, and nobody said so: more likely its disk is not mounted.
            reason = f"empty; its notes are kept until it is named: notesearch index {root}"
            self._tally.skipped.append(Skipped(str(root), reason, for_now=True))
            self._unreached.add(root)
            return []
        changed = []
        skipped: list[SkippedFile] = []
        for entry in entries:
            if isinstance(entry, Skipped):
                skipped.append(SkippedFile(entry))
                continue
            note = known.pop(str(entry.path), None)
            seen = (entry.stamp, reader_version(entry.path))
            tried = unreadable.get(str(entry.path))
            if note and (note.stamp, note.reader) == seen and not self._check:
                self._tally.unchanged += 1
            elif tried and (tried.stamp, tried.reader) == seen and not self._check:
                skipped.append(tried)
            else:
                changed.append(_ChangedFile(folder_id, entry, note))
                headings.subtract([note.heading_key] if note else ())
        unreachable = tuple(file.skipped.path for file in skipped if file.skipped.for_now)
        gone_here = {
            path: note
            for path, note in known.items()
            if not _is_below_any(path, unreachable) and not _waits_for_reader(path)
        }
        headings.subtract(note.heading_key for note in gone_here.values())
        gone |= gone_here
        self._tally.skipped += [file.skipped for file in skipped]
        with self._writer.transaction():
            self._writer.forget_skipped(folder_id, below)
            self._writer.add_skipped(folder_id, skipped)
        return changed

    def _write_changed(self, changed: Sequence[_ChangedFile], gone: dict[str, KnownNote], batches: BatchWriter) -> None:
        expected_chunks = int(sum(_expected_chunks(entry.file) for entry in changed))
        moved = _paths_by_content(gone)
        for done, entry in enumerate(changed, start=1):
            read = self._read(entry, gone, moved)
            if isinstance(read, ReadNote):
                batches.add(read, expected_chunks)
            elif read:
                batches.keep(read)
            self._progress(done, len(changed))
        batches.finish()

    def _read(
        self, changed: _ChangedFile, gone: dict[str, KnownNote], moved: dict[bytes, list[str]]
    ) -> ReadNote | KeptNote | None:
        """Reads a file; `None` where it cannot be read. A note that has moved is taken out of `gone`."""
        file, known = changed.file, changed.known
        stamp = file.stamp.settled(time.time_ns())
        try:
            data = read_bytes(file)
            content_hash = hash_of(data)
            is_as_it_was = known and (known.content_hash, known.reader) == (content_hash, reader_version(file.path))
            if known and is_as_it_was and known.stamp.mtime_ns == stamp.mtime_ns:
                self._tally.unchanged += 1
                return KeptNote(known.id, stamp, None)
            note = note_from_bytes(file, data)
        except NoteUnreadable as error:
            if known and not error.for_now:
                gone[str(file.path)] = known
            self._skip(changed, stamp, Skipped(str(file.path), error.message, error.for_now, error.by_rule))
            return None
        if known and is_as_it_was:
            self._tally.unchanged += 1
            return KeptNote(known.id, stamp, note.date)  # its date may be that of the file
        if known is not None:
            self._tally.updated += 1
        elif former_paths := moved.get(content_hash):
            self._tally.renamed += 1
            known = gone.pop(former_paths.pop())
        else:
            self._tally.added += 1
        self._tally.problems += [Skipped(str(file.path), problem) for problem in note.problems]
        note = self._titled(note, changed.folder_id)
        return ReadNote(changed.folder_id, known.id if known else None, stamp, content_hash, note)

    def _titled(self, note: Note, folder_id: int) -> Note:
        """A note with the title that is right as far as is known by now; see `_correct_titles`."""
        headings, key = self._headings[folder_id], key_of(note.naming_heading)
        headings[key] += 1
        return named_by_file(note) if key and headings[key] > 1 else note

    def _correct_titles(self, batches: BatchWriter) -> None:
        """Writes notes again that others have joined or left since, so that their headings no longer name them, or do.

        A file that has changed meanwhile is left for the next run.
        """
        wrongly_titled = self._writer.wrongly_titled()
        for folder_id, path, by_heading, known in wrongly_titled:
            file = NoteFile(Path(path), known.stamp)
            with suppress(NoteUnreadable):
                data = read_bytes(file)
                if hash_of(data) == known.content_hash:
                    note = note_from_bytes(file, data)
                    note = note if by_heading else named_by_file(note)
                    batches.add(
                        ReadNote(folder_id, known.id, known.stamp, known.content_hash, note), len(wrongly_titled)
                    )
        batches.finish()

    def _skip(self, changed: _ChangedFile, stamp: Stamp, skipped: Skipped) -> None:
        """Records that a file cannot be read; one that will be no better is read again only once it changes."""
        self._tally.skipped.append(skipped)
        seen = () if skipped.for_now else (stamp, reader_version(changed.file.path))
        with self._writer.transaction():
            self._writer.add_skipped(changed.folder_id, [SkippedFile(skipped, *seen)])

    def _remove(self, gone: Sequence[KnownNote]) -> None:
        if gone:
            with self._writer.transaction():
                self._writer.remove_notes([note.id for note in gone])
            self._tally.removed = len(gone)


def _expected_chunks(file: NoteFile) -> float:
    return file.stamp.size / (_DOCUMENT_BYTES_A_CHUNK if is_document(file.path) else _BYTES_A_CHUNK)


def _waits_for_reader(path: str) -> bool:
    """Whether a note is a document that is still there, but what reads it is not installed any more."""
    return is_document(path) and not has_reader(path) and os.path.exists(path)  # noqa: PTH110


def _paths_by_content(notes: dict[str, KnownNote]) -> dict[bytes, list[str]]:
    """Paths by content hash, those that come first last."""
    paths: dict[bytes, list[str]] = {}
    for path in reversed(notes):
        paths.setdefault(notes[path].content_hash, []).append(path)
    return paths


def _is_below_any(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}{os.sep}") for folder in folders)
