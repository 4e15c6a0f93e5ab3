"""`notesearch similar` against plainer ways: do linked notes, and notes that share a rare tag, come first?

Links between notes are the judgement; they are taken out of copies of the notes first, words and targets, so that no
way sees them. Hugo's `{{< ref "note.md" >}}` counts as a link, and its `topics` as tags.

    python benchmarks/similar.py NOTES_DIR...
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from measuring import NOTESEARCH, run_command

from notesearch.library.similar import stored_source
from notesearch.notes import NoteFile, find_notes, read_note
from notesearch.notes.links import LinkResolver
from notesearch.records import Filters, Note
from notesearch.retrieval.passage_matching import AllPassages
from notesearch.retrieval.similar import SourceNote, find_similar_notes
from notesearch.storage import IndexReader

_HUGO_LINK = re.compile(r'\[[^\]\[]*\]\(\s*\{\{[<%]\s*(?:rel)?ref\s+"?([^">\s]+)"?\s*[>%]\}\}\s*\)')
_HUGO_TOPICS = re.compile(r"^topics:\s*\n((?:\s*- .*\n)+)", re.MULTILINE)
_MOST_NOTES_OF_A_TAG = 15
_DEPTH = 10

Judgements = dict[str, set[str]]
Rank = Callable[[int], list[int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--queries", type=int, default=300, help="the most notes asked about")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        with tempfile.TemporaryDirectory() as temporary:
            copies, index = Path(temporary) / "notes", Path(temporary) / "index"
            judgements = write_copies(folder.resolve(), copies)
            run_command([*NOTESEARCH, "index", str(copies), "--index-dir", str(index), "--quiet"])
            with IndexReader(index) as reader:
                for kind, relevant in judgements.items():
                    measure(reader, copies, f"{folder.name}, {kind}", relevant, arguments.queries)


def write_copies(folder: Path, copies: Path) -> dict[str, Judgements]:
    """Writes notes without the links between them; returns which notes belong together, by what says so."""
    notes = [read_note(file) for file in find_notes(folder, max_bytes=2_000_000) if isinstance(file, NoteFile)]
    resolver = LinkResolver([str(note.path) for note in notes], roots=[str(folder)])
    by_name = {note.path.name: note.path for note in notes}
    linked: Judgements = {}
    tagged: Judgements = {}
    for note in notes:
        text, targets = note.text, set()
        for link in sorted(note.links, key=lambda link: -link.start):
            target = resolver.resolve(str(note.path), link.target, link.kind)
            if target not in (None, str(note.path)):
                targets.add(Path(target))
                text = text[: link.start] + text[link.end :]
        targets |= {by_name.get(Path(match[1]).name) for match in _HUGO_LINK.finditer(text)} - {None, note.path}
        text = _HUGO_LINK.sub("", text)
        name = str(note.path.relative_to(folder))
        for target in targets:
            other = str(target.relative_to(folder))
            linked.setdefault(name, set()).add(other)
            linked.setdefault(other, set()).add(name)
        for tag in tags_of(note):
            tagged.setdefault(tag, set()).add(name)
        (copies / name).parent.mkdir(parents=True, exist_ok=True)
        (copies / name).write_text(text, encoding="utf-8")
    sharing: Judgements = {}
    for names in tagged.values():
        if 1 < len(names) <= _MOST_NOTES_OF_A_TAG:
            for name in names:
                sharing.setdefault(name, set()).update(names - {name})
    return {"links": linked, "rare tags": sharing}


def tags_of(note: Note) -> set[str]:
    topics = _HUGO_TOPICS.search(note.text)
    return {tag.casefold() for tag in note.tags} | set(re.findall(r"- *\"?([\w-]+)", topics[1]) if topics else ())


def measure(reader: IndexReader, copies: Path, title: str, relevant: Judgements, most: int) -> None:
    """Prints nDCG@10 with the interval of its difference to the first way, recall@10 and MRR of each way."""
    notes = reader.notes(reader.note_ids())
    names = {note_id: str(Path(note.path).relative_to(copies)) for note_id, note in notes.items()}
    asked = sorted(note_id for note_id, name in names.items() if name in relevant)
    if not asked:
        return
    asked = random.Random(0).sample(asked, min(most, len(asked)))
    print(f"\n{title}: {len(asked)} of {len(notes)} notes asked about")
    base = None
    for way, rank in ways(reader).items():
        scores = np.array([score([names[i] for i in rank(q)], relevant[names[q]]) for q in asked])
        base = scores[:, 0] if base is None else base
        drawn = np.random.default_rng(0).integers(0, len(asked), (1000, len(asked)))
        low, high = np.percentile((scores[:, 0] - base)[drawn].mean(axis=1), [2.5, 97.5])
        ndcg, recall, mrr = scores.mean(axis=0)
        print(f"  {way:<36}{ndcg:.3f} [{low:+.3f}, {high:+.3f}]  recall {recall:.3f}  MRR {mrr:.3f}")


def score(found: list[str], relevant: set[str]) -> tuple[float, float, float]:
    gains = np.array([name in relevant for name in found[:_DEPTH]] + [False] * (_DEPTH - len(found)), dtype=float)
    discounts = 1 / np.log2(np.arange(2, _DEPTH + 2))
    ideal = discounts[: min(_DEPTH, len(relevant))].sum()
    first = 1 / (1 + int(gains.argmax())) if gains.any() else 0.0
    return float(gains @ discounts / ideal), float(gains.sum() / len(relevant)), first


def ways(reader: IndexReader) -> Mapping[str, Rank]:
    """Ways to rank all other notes by a note."""
    passages = AllPassages.read(reader)
    vectors = np.concatenate(passages.vectors)[passages.rows]
    places = {note_id: place for place, note_id in enumerate(passages.note_ids.tolist())}
    counts = np.diff(passages.starts, append=len(vectors))
    means = np.add.reduceat(vectors, passages.starts) / counts[:, np.newaxis]
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    neighbourhoods = np.concatenate(
        [np.partition(block @ vectors.T, -11, axis=1)[:, -11:].mean(axis=1) for block in np.array_split(vectors, 40)]
    )

    def own(note_id: int) -> slice:
        return passages.of(places[note_id])

    def soft(note_id: int, taken_off: np.ndarray, back: float = 0.5) -> np.ndarray:
        cosines = vectors[own(note_id)] @ vectors.T - taken_off
        there = np.maximum.reduceat(cosines, passages.starts, axis=1).mean(axis=0)
        return (1 - back) * there + back * np.add.reduceat(cosines.max(axis=0), passages.starts) / counts

    def by(scores_of: Callable[[int], np.ndarray]) -> Rank:
        def rank(note_id: int) -> list[int]:
            scores = scores_of(note_id).astype(np.float64)
            scores[places[note_id]] = -np.inf
            return passages.note_ids[np.argsort(-scores, kind="stable")[:_DEPTH]].tolist()

        return rank

    def best_pair(note_id: int) -> np.ndarray:
        cosines = vectors[own(note_id)] @ vectors.T
        return np.maximum.reduceat(cosines, passages.starts, axis=1).max(axis=0)

    def similar(note_id: int) -> list[int]:
        source: SourceNote = stored_source(reader, note_id)
        hits = find_similar_notes(reader, source, limit=_DEPTH, filters=Filters())
        return [by_path[hit.path] for hit in hits]

    by_path = {note.path: note.id for note in reader.notes(reader.note_ids()).values()}
    none = np.zeros(len(vectors), dtype=np.float32)
    return {
        "cosine of the mean vectors": by(lambda note_id: means @ means[places[note_id]]),
        "closest pair of passages": by(best_pair),
        "passages, there only": by(lambda note_id: soft(note_id, none, back=0)),
        "passages, both ways": by(lambda note_id: soft(note_id, none)),
        "the same, CSLS": by(lambda note_id: soft(note_id, neighbourhoods / 2)),
        "the same, half the mean off": by(lambda note_id: soft(note_id, passages.hubness)),
        "similar: that, and words": similar,
    }


if __name__ == "__main__":
    main()
