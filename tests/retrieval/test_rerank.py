import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_encoder import LONG_AGO_S

from notesearch.indexing import chunking_for
from notesearch.records import Chunking, Place, Skipped
from notesearch.retrieval.late_interaction import LATE_WEIGHT
from notesearch.retrieval.passages import POOL_NOTES
from notesearch.retrieval.rerank import Reranker
from notesearch.storage import IndexReader

CHUNKING = chunking_for(256)  # as the fake encoder's index is made
SMALL = Chunking(budget_tokens=16)
NOTES = {
    "1.md": "quorum quorum quorum",
    "2.md": "a lease: quorum, raft, apples, pears, dates",
    "3.md": "# Fruit\n\napples and pears",
    "sub/4.md": "---\ntags: [x, y]\ndate: 2024-02-10\n---\n# Leases\n\nlease lease clock",
}
# Lines 1 to 14. In small passages, those of Raft and Votes are one, below no heading but the title.
SECTIONS = """# Raft

## Votes

A candidate asks for many votes
and a majority elects it leader

## Log

The leader appends entries to the log
and followers copy these

## Terms
Time is cut into terms of any length, each with one leader or none
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "other"


@pytest.fixture
def write(folder: Path) -> Callable[..., list[Path]]:
    """Writes notes beside those of the index."""

    def make(notes: dict[str, str | bytes]) -> list[Path]:
        for name, text in notes.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
            os.utime(folder / name, (LONG_AGO_S, LONG_AGO_S))
        return [folder / name for name in notes]

    return make


class Ranking:
    """Runs a reranker, with or without an index."""

    def __init__(self, encoder, reader: IndexReader | None = None, chunking=CHUNKING, max_bytes=100_000) -> None:
        self.told: list[tuple[int, int]] = []
        self._reranker = Reranker(
            reader, encoder, chunking=chunking, max_bytes=max_bytes, progress=lambda *done: self.told.append(done)
        )

    def all(self, typed, places, method="maxsim", limit=10, judge=None):
        places = [place if isinstance(place, Place) else Place(place) for place in places]
        return self._reranker.rerank(typed, places, method=method, limit=limit, cross_encoder=judge)

    def __call__(self, *arguments, **options):
        hits, skipped = self.all(*arguments, **options)
        assert skipped == []
        check(hits)
        return hits


def check(hits) -> None:
    """What holds for any list of hits."""
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        if hit.contributions:
            assert sum(hit.contributions.values()) == pytest.approx(hit.score, abs=1e-5)


@pytest.fixture
def rank(fake_encoder) -> Ranking:
    """Without an index."""
    return Ranking(fake_encoder)


def indexed(tmp_path: Path) -> list[Path]:
    return [tmp_path / "notes" / name for name in NOTES]


def names(hits) -> list[str]:
    return [Path(hit.path).name for hit in hits]


def shown(hits):
    """What a hit says, its path and exact scores aside."""
    return [
        (hit.title, hit.heading, hit.start_line, hit.end_line, hit.snippet, hit.tags, hit.highlights, hit.more_passages)
        for hit in hits
    ]


class TestScores:
    def test_notes_are_ranked_by_meaning_and_by_their_words(self, rank, write):
        paths = write(NOTES)
        assert names(rank("quorum lease", paths, method="dense"))[0] == "1.md"
        hits = rank("quorum lease", paths)
        assert names(hits)[0] == "2.md"
        assert len(hits) == len(NOTES)

    def test_scores_are_what_the_parts_add(self, rank, write):
        for hit in rank("quorum lease", write(NOTES)):
            assert hit.scores.keys() == hit.contributions.keys() == {"dense", "late"}
            assert hit.contributions["dense"] == pytest.approx(hit.scores["dense"])
            assert hit.contributions["late"] == pytest.approx(LATE_WEIGHT * hit.scores["late"])

    def test_embeddings_alone_give_no_evidence(self, rank, write):
        hits = rank("quorum lease", write(NOTES), method="dense")
        assert len(hits) == len(NOTES)
        for hit in hits:
            assert (hit.evidence, hit.scores.keys()) == ((), {"dense"})
            assert hit.contributions == {"dense": hit.score}
            assert hit.score == pytest.approx(hit.scores["dense"])
        assert hits[0].highlights

    def test_evidence_points_into_the_file(self, rank, write):
        text = "---\ntags: x\n---\r\n# Title\r\n\r\nDie Ämter, 分布式: QUORUM"
        (hit,) = rank("quorum ämter title", write({"1.md": text}))
        assert [(item.query_token, item.matched) for item in hit.evidence] == [
            ("quorum", "QUORUM"),
            ("ämter", "Ämter"),
            ("title", "Title"),
        ]
        assert all(text[item.start : item.end] == item.matched for item in hit.evidence)
        assert all(item.score == 1 for item in hit.evidence)

    def test_rare_words_count_more(self, rank, write):
        # Each note holds one of the two words in as many; the one with the rare word comes first.
        notes = {f"{number}.md": "quorum apples" for number in range(1, 6)} | {"9.md": "lease apples"}
        hits = rank("quorum lease", write(notes))
        late = {name: hit.scores["late"] for name, hit in zip(names(hits), hits, strict=True)}
        assert late["9.md"] > max(late[name] for name in notes if name != "9.md") + 0.2

    def test_a_hit_tells_of_its_note(self, rank, write):
        (path,) = write({"4.md": NOTES["sub/4.md"]})
        (hit,) = rank("lease clock", [path])
        assert (hit.path, hit.title, hit.tags, hit.date) == (str(path), "Leases", ("x", "y"), "2024-02-10T00:00:00")
        assert (hit.start_line, hit.end_line, hit.more_passages) == (5, 7, 0)
        assert [hit.snippet[a:b] for a, b in hit.highlights] == ["lease", "lease", "clock"]

    def test_the_passage_of_a_note_that_answers_best_is_shown(self, fake_encoder, write):
        rank = Ranking(fake_encoder, chunking=SMALL)
        (hit,) = rank("followers copy the log", write({"raft.md": SECTIONS}))
        assert (hit.heading, hit.start_line, hit.end_line) == ("Log", 8, 11)
        assert hit.more_passages == 2

    def test_no_places_give_no_hits(self, rank, make_reader, fake_encoder):
        for method in ("maxsim", "dense"):
            assert rank.all("quorum", [], method=method) == ([], [])
            assert Ranking(fake_encoder, make_reader(NOTES)).all("quorum", [], method=method) == ([], [])

    @pytest.mark.parametrize("typed", ["the of and", "?!", "cap\0\ud800", "麻", "quorum " * 500])
    def test_odd_queries_are_answered(self, rank, make_reader, fake_encoder, write, tmp_path, typed):
        assert len(rank(typed, write(NOTES))) == len(NOTES)
        make_reader(NOTES)
        assert len(Ranking(fake_encoder, make_reader({}))(typed, indexed(tmp_path))) == len(NOTES)


class TestPlaces:
    @pytest.fixture
    def rank(self, fake_encoder) -> Ranking:
        return Ranking(fake_encoder, chunking=SMALL)

    @pytest.fixture
    def raft(self, write) -> Path:
        return write({"raft.md": SECTIONS})[0]

    def test_lines_of_one_passage_become_one_hit_from_the_first_to_the_last(self, rank, raft):
        hits = rank("leader of the log", [Place(raft, line) for line in (11, 6, 10, 5, 14)])
        assert {hit.heading: (hit.start_line, hit.end_line) for hit in hits} == {
            "": (5, 6),
            "Log": (10, 11),
            "Terms": (14, 14),
        }
        assert all(hit.more_passages == 0 for hit in hits)
        assert hits[0].heading == "Log"

    def test_lines_of_a_note_that_is_named_itself_are_part_of_it(self, rank, raft):
        (hit,) = rank("followers copy the log", [Place(raft, 6), Place(raft), Place(raft, 14)])
        assert (hit.heading, hit.start_line, hit.end_line, hit.more_passages) == ("Log", 8, 11, 2)
        assert [hit] == rank("followers copy the log", [raft])

    def test_places_named_twice_count_once(self, rank, raft):
        assert len(rank("log", [raft, raft])) == 1
        (hit,) = rank("log", [Place(raft, 10), Place(raft, 10)])
        assert (hit.start_line, hit.end_line) == (10, 10)

    def test_a_line_between_passages_belongs_to_the_closest_one(self, rank, raft):
        (hit,) = rank("leader", [Place(raft, 400)])
        assert hit.heading == "Terms"
        (hit,) = rank("leader", [Place(raft, 7)])
        assert hit.heading in ("", "Log")

    def test_lines_in_front_matter_belong_to_the_first_passage(self, rank, write):
        (path,) = write({"a.md": "---\ntags: [quorum]\n---\n" + SECTIONS})
        (hit,) = rank("quorum", [Place(path, 2)])
        assert (hit.start_line, hit.end_line) == (4, 9)
        assert hit.snippet.startswith("A candidate asks")

    def test_a_hit_is_shown_from_the_first_line_on(self, rank, raft):
        (hit,) = rank("log entries copy", [Place(raft, 11)])
        assert (hit.start_line, hit.end_line) == (11, 11)
        assert hit.snippet == "and followers copy these"
        assert [hit.snippet[a:b] for a, b in hit.highlights] == ["copy"]
        (hit,) = rank("log entries copy", [Place(raft, 11), Place(raft, 10)])
        assert hit.snippet == "The leader appends entries to the log and followers copy these"
        assert [hit.snippet[a:b] for a, b in hit.highlights] == ["entries", "log", "copy"]

    def test_evidence_of_lines_points_into_the_file(self, rank, write):
        text = SECTIONS.replace("\n", "\r\n")
        (path,) = write({"crlf.md": text})
        (hit,) = rank("copy followers", [Place(path, 11)])
        assert [text[item.start : item.end] for item in hit.evidence] == ["copy", "followers"]
        assert hit.snippet == "and followers copy these"

    def test_lines_and_notes_are_ranked_together(self, rank, raft, write):
        (other,) = write({"log.md": "followers copy the log"})
        hits = rank("followers copy the log", [Place(raft, 6), Place(raft, 10), other])
        assert [(Path(hit.path).name, hit.heading) for hit in hits] == [
            ("log.md", ""),
            ("raft.md", "Log"),
            ("raft.md", ""),
        ]
        assert rank("followers copy the log", [Place(raft, 6), Place(raft, 10), other], limit=2) == hits[:2]

    def test_the_passage_of_a_long_line_that_answers_best_is_taken(self, rank, write):
        beginning = " ".join(f"word{number}" for number in range(40))
        (path,) = write({"a.md": f"# Long\n\n{beginning}. The quorum decides by majority."})
        (hit,) = rank("quorum majority", [Place(path, 3)])
        assert "quorum decides" in hit.snippet


class TestIndex:
    def test_what_the_index_knows_is_not_encoded(self, make_reader, fake_encoder, tmp_path):
        rank = Ranking(fake_encoder, make_reader(NOTES))
        fake_encoder.encoded.clear()
        places = [*indexed(tmp_path), Place(indexed(tmp_path)[1], 1)]
        for method in ("maxsim", "dense"):
            assert len(rank("quorum lease", places, method=method)) == len(NOTES)
        assert fake_encoder.encoded == []
        assert rank.told == []

    @pytest.mark.parametrize("method", ["maxsim", "dense"])
    def test_the_ranking_is_the_same_for_what_it_does_not_know(
        self, make_reader, fake_encoder, write, tmp_path, method
    ):
        rank = Ranking(fake_encoder, make_reader(NOTES))
        known = rank("quorum lease clock", indexed(tmp_path), method=method)
        unknown = rank("quorum lease clock", write(NOTES), method=method)
        assert names(known) == names(unknown)
        assert shown(known) == shown(unknown)
        for one, other in zip(known, unknown, strict=True):
            # The index keeps a byte for each component.
            assert one.scores == pytest.approx(other.scores, abs=0.01)
            assert one.contributions == pytest.approx(other.contributions, abs=0.01)
            assert one.evidence == other.evidence

    def test_lines_of_what_the_index_knows(self, make_reader, fake_encoder, tmp_path, write):
        text = f"# Raft\n\n{'word ' * 150}\n\n## Log\n\n{'quorum lease ' * 80}\nthe end"
        rank = Ranking(fake_encoder, make_reader({"raft.md": text}))
        fake_encoder.encoded.clear()
        places = [Place(tmp_path / "notes" / "raft.md", line) for line in (7, 8, 3)]
        known = rank("quorum lease", places)
        assert [(hit.heading, hit.start_line, hit.end_line) for hit in known] == [("Log", 7, 8), ("", 3, 3)]
        assert fake_encoder.encoded == []
        (path,) = write({"raft.md": text})
        assert shown(rank("quorum lease", [Place(path, line) for line in (7, 8, 3)])) == shown(known)

    def test_a_changed_file_is_read_anew(self, make_reader, fake_encoder, tmp_path):
        rank = Ranking(fake_encoder, make_reader(NOTES))
        changed = tmp_path / "notes" / "3.md"
        changed.write_text("# Fruit\n\nlease and quorum, quorum and lease", encoding="utf-8")
        fake_encoder.encoded.clear()
        hits = rank("quorum lease", indexed(tmp_path))
        assert fake_encoder.encoded == ["# Fruit\n\nlease and quorum, quorum and lease"]
        assert (names(hits)[0], hits[0].snippet) == ("3.md", "lease and quorum, quorum and lease")
        assert rank.told == [(1, 1)]

    def test_a_file_that_is_gone_is_told_though_the_index_knows_it(self, make_reader, fake_encoder, tmp_path):
        rank = Ranking(fake_encoder, make_reader(NOTES))
        gone = tmp_path / "notes" / "3.md"
        gone.unlink()
        hits, skipped = rank.all("quorum lease", indexed(tmp_path))
        assert [entry.path for entry in skipped] == [str(gone)]
        assert len(hits) == len(NOTES) - 1

    def test_words_are_as_rare_as_in_the_whole_index(self, make_reader, fake_encoder, tmp_path):
        notes = {"1.md": "quorum", "2.md": "lease"} | {f"{number}.md": "quorum raft" for number in range(10, 20)}
        rank = Ranking(fake_encoder, make_reader(notes))
        places = [tmp_path / "notes" / name for name in ("1.md", "2.md")]
        # Among the two, both words would be equally rare.
        assert names(rank("quorum lease", places))[0] == "2.md"
        late = {Path(hit.path).name: hit.scores["late"] for hit in rank("quorum lease", places)}
        assert late["2.md"] > late["1.md"] + 0.5

    def test_other_forms_of_a_word_are_highlighted(self, make_reader, fake_encoder, write):
        rank = Ranking(fake_encoder, make_reader(NOTES))
        (hit,) = rank("lease", write({"5.md": "He leases it."}))
        assert [hit.snippet[a:b] for a, b in hit.highlights] == ["leases"]


class TestUnreadable:
    def test_what_cannot_be_read_is_told_and_the_rest_ranked(self, fake_encoder, write, folder):
        rank = Ranking(fake_encoder, max_bytes=50)
        good, large, binary = write({"1.md": "quorum", "large.md": "word " * 50, "binary.md": b"\x00\x01\x02\xff" * 9})
        os.mkfifo(folder / "fifo.md")
        places = [
            large,
            folder / "missing.md",
            good,
            binary,
            folder,
            folder / "fifo.md",
            Place(folder / "missing.md", 3),
        ]
        hits, skipped = rank.all("quorum", places)
        assert names(hits) == ["1.md"]
        assert {entry.path: entry.reason for entry in skipped} == {
            str(large): "larger than 50 bytes",
            str(folder / "missing.md"): "no such file or directory",
            str(binary): "binary file",
            str(folder): "a folder; name the files in it",
            str(folder / "fifo.md"): "special file",
        }
        assert len(skipped) == 5

    @pytest.mark.parametrize("with_index", [False, True])
    def test_a_name_that_is_no_text_is_told(self, make_reader, fake_encoder, folder, with_index):
        folder.mkdir()
        path = Path(os.fsdecode(os.fsencode(folder) + b"/\xff.md"))
        path.write_text("quorum")
        rank = Ranking(fake_encoder, make_reader(NOTES) if with_index else None)
        assert rank.all("quorum", [path]) == ([], [Skipped(str(path), "name is not valid UTF-8")])


class Judge:
    """A cross-encoder that prefers what comes last in the alphabet, and remembers how much it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def score(self, query, passages) -> np.ndarray:
        self.asked.append(len(passages))
        return np.array([ord(passage[-1]) for passage in passages], dtype=np.float32)


class TestCrossEncoder:
    def test_it_decides_the_order(self, rank, write):
        paths = write({f"{letter}.md": f"quorum {letter}" for letter in "bdca"})
        judge = Judge()
        hits = rank("quorum", paths, method="cross-encoder", judge=judge)
        assert names(hits) == ["d.md", "c.md", "b.md", "a.md"]
        assert judge.asked == [4]
        for hit in hits:
            assert hit.score == hit.scores["cross_encoder"] == ord(hit.snippet[-1])
            assert hit.scores.keys() == {"dense", "late", "cross_encoder"}
            assert hit.contributions == {}
            assert hit.evidence

    def test_lines_keep_their_place(self, rank, write):
        (path,) = write({"1.md": "one\n\nquorum two\n"})
        (hit,) = rank("quorum", [Place(path, 3)], method="cross-encoder", judge=Judge())
        assert (hit.start_line, hit.end_line) == (3, 3)

    def test_it_scores_the_best_and_those_that_are_asked_for(self, rank, write):
        paths = write({f"{number:03d}.md": f"quorum {number:03d}" for number in range(POOL_NOTES + 20)})
        for limit, asked in ((5, POOL_NOTES), (60, 60), (500, POOL_NOTES + 20)):
            judge = Judge()
            hits = rank("quorum", paths, method="cross-encoder", limit=limit, judge=judge)
            assert judge.asked == [asked]
            assert len(hits) == min(limit, len(paths))
