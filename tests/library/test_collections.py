"""Several collections searched as one, and kept in step with the settings."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_encoder import FakeEncoder, make_fake_model

from notesearch.encoders import ScoreScale
from notesearch.errors import FolderUnreadable, IndexMissing, SettingsError, UsageError
from notesearch.library.collections import folders_no_longer_named, open_collections, sync_collection
from notesearch.library.index import sync_index
from notesearch.library.search import open_index
from notesearch.settings import Settings, config_file, load_settings

WORDS = "quorum raft lease clock commit ledger replica shard paxos gossip vector merge split leader vote".split()
FILLING = [f"filling{number}" for number in range(99)]
QUERIES = [
    "quorum lease",
    "raft leader vote split",
    '"merge split" replica',
    "gossip",
    "the clock of a replica",
    "paxos quorum raft lease clock commit ledger",
]


pytestmark = pytest.mark.usefixtures("own_folders")


def write_settings(text: str) -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(text, encoding="utf-8")


def write_notes(folder: Path, notes: dict[str, str]) -> Path:
    for name, text in notes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def scores(hits) -> list[float]:
    return [hit.score for hit in hits]


def shown(hits) -> list[tuple[str, float, int, str]]:
    return [(Path(hit.path).name, round(hit.score, 4), hit.rank, hit.snippet) for hit in hits]


@pytest.fixture
def halves(tmp_path, fake_encoder):
    """Notes in one index, and in two: in one half of them, a word is common that is rare in the other."""
    dice = random.Random(5)
    for number in range(120):
        half = "a" if number % 3 else "b"
        text = [dice.choice(WORDS[:8] if half == "a" else WORDS) for _ in range(4)] + dice.sample(FILLING, 8)
        text[:3] = text[:3] if number % 5 else ["merge", "split", "replica"]
        tags = "tags: [odd]\n" if number % 2 else ""
        note = f"---\ntitle: Note\n{tags}---\n{' '.join(text)}.\n"
        write_notes(tmp_path / "notes" / half, {f"{number:03}.md": note})
    write_settings(
        f'[collections.one]\nfolders = ["{tmp_path}/notes"]\n'
        f'[collections.a]\nfolders = ["{tmp_path}/notes/a"]\n[collections.b]\nfolders = ["{tmp_path}/notes/b"]\n'
    )
    for name in ("one", "a", "b"):
        sync_collection(load_settings(collection=name))


class TestSearchingSeveral:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"rerank": "none"},
            {"mode": "dense"},
            {"mode": "lexical"},
            {"mode": "lexical", "rerank": "maxsim"},
            {"tags": ["odd"]},
            {"path": "*/b/*"},
        ],
        ids=str,
    )
    def test_the_hits_are_those_of_one_index_with_all_their_notes(self, halves, options):
        # All notes are equally long: lengths are all that each index knows only its own of.
        with open_collections(["one"]) as one, open_collections(["a", "b"]) as both:
            for query in QUERIES:
                expected, found = one.search(query, **options), both.search(query, **options)
                of_all = {hit.path: hit.score for hit in one.search(query, **{**options, "limit": 50})}
                assert expected
                # Equally good ones may come in any order; and of two words near each other, only the sum is known.
                assert scores(found) == pytest.approx(scores(expected), rel=0.01)
                assert scores(found) == pytest.approx([of_all[hit.path] for hit in found], rel=0.01)

    @pytest.mark.parametrize("query", ["gossip", "raft", "raft filling7"])
    def test_words_score_exactly_as_in_one_index(self, halves, query):
        options = {"mode": "lexical", "limit": 200}
        with open_collections(["one"]) as one, open_collections(["a", "b"]) as both:
            expected = {hit.path: hit.score for hit in one.search(query, **options)}
            assert {hit.path: hit.score for hit in both.search(query, **options)} == pytest.approx(expected, rel=1e-5)
        assert expected

    def test_each_hit_says_which_collection_it_is_from(self, halves):
        with open_collections(["a", "b"]) as both:
            hits = both.search("raft leader", limit=60)
        assert {hit.collection for hit in hits} == {"a", "b"}
        assert all(Path(hit.path).parent.name == hit.collection for hit in hits)
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))

    def test_one_collection_is_searched_as_its_index_is(self, halves):
        with open_collections(["a"]) as a, open_index(load_settings(collection="a").index_dir) as index:
            for query in QUERIES[:2]:
                assert shown(a.search(query)) == shown(index.search(query))

    @pytest.mark.parametrize(("names", "first"), [(["one", "a"], "one"), (["a", "one"], "a")])
    def test_a_note_in_two_collections_comes_once_from_the_one_named_first(self, halves, names, first):
        with open_collections(names) as several, open_collections(["one"]) as one:
            hits = several.search("raft leader lease", limit=50)
            assert len(hits) == 50 == len({hit.path for hit in hits})
            assert {hit.collection for hit in hits if "/a/" in hit.path} == {first}
            expected = {hit.path for hit in one.search("raft leader lease", limit=50)}
        assert len(expected & {hit.path for hit in hits}) >= 40


@pytest.fixture
def two(tmp_path, fake_encoder):
    """Two collections with filters of their own."""
    draft = "---\ntags: [draft]\n---\n# Salt\n\nSalt and water."
    work = write_notes(tmp_path / "work", {"plan.md": "# Plan\n\nSalt in the plan.", "old/draft.md": draft})
    home = write_notes(tmp_path / "home", {"dal.md": "# Dal\n\nLentils, salt.", "draft.md": draft})
    write_settings(
        f'[collections.work]\nfolders = ["{work}"]\nnot_tags = ["draft"]\n'
        f'[collections.home]\nfolders = ["{home}"]\n[collections.old]\nindex_dir = "old"\npath = "{work}/old"\n'
    )
    for name in ("work", "home"):
        sync_collection(load_settings(collection=name))
    return work, home


def found_by(names, query="salt", **options) -> set[str]:
    with open_collections(names) as index:
        return {"/".join(Path(hit.path).parts[-2:]) for hit in index.search(query, **options)}


class TestFilters:
    @pytest.mark.parametrize("mode", ["lexical", "dense", "hybrid"])
    def test_those_of_a_collection_hold_for_its_own_notes(self, two, mode):
        assert found_by(["work"], mode=mode) == {"work/plan.md"}
        assert found_by(["work", "home"], mode=mode) == {"work/plan.md", "home/dal.md", "home/draft.md"}

    def test_what_is_asked_for_takes_their_place(self, two):
        assert found_by(["work"], not_tags=["other"]) == {"work/plan.md", "old/draft.md"}
        assert found_by(["work"], path="plan.md", not_tags=["other"]) == {"work/plan.md"}
        assert found_by(["work", "home"], tags=["draft"]) == {"home/draft.md"}

    def test_two_collections_can_share_an_index(self, two):
        work, _ = two
        shared = load_settings(collection="work").index_dir
        write_settings(
            f'[collections.new]\nindex_dir = "{shared}"\nnot_tags = ["draft"]\n'
            f'[collections.old]\nindex_dir = "{shared}"\npath = "{work}/old"\n'
        )
        assert found_by(["old"]) == {"old/draft.md"}
        assert found_by(["new", "old"]) == {"work/plan.md", "old/draft.md"}
        with open_collections(["new", "old"]) as index:
            assert {hit.collection for hit in index.search("salt")} == {"new", "old"}


class TestOpening:
    def test_a_collection_that_was_not_indexed_is_named(self, two):
        with pytest.raises(IndexMissing, match="the collection old was not indexed yet") as caught:
            open_collections(["work", "old"])
        assert caught.value.hint == "Index it: notesearch index -c old FOLDER"

    def test_one_that_is_not_in_the_settings_is_refused(self, two):
        with pytest.raises(SettingsError, match="there is no collection 'garden'"):
            open_collections(["work", "garden"])

    def test_an_index_can_be_named_for_one_collection_only(self, two):
        home = load_settings(collection="home").index_dir
        with open_collections(["work"], index_dir=home) as index:
            assert {Path(hit.path).name for hit in index.search("salt")} == {"dal.md"}
        with pytest.raises(UsageError, match="one index was named for 2 collections"):
            open_collections(["work", "home"], index_dir=home)

    def test_the_concepts_of_all_collections_are_followed(self, two, tmp_path):
        for name, links in (("work", 'plan = ["lentils"]'), ("home", 'brine = ["water"]')):
            (tmp_path / f"{name}.toml").write_text(f"[concepts]\n{links}\n")
            text = config_file().read_text()
            write_settings(
                text.replace(f"[collections.{name}]", f'[collections.{name}]\nconcepts = "{tmp_path}/{name}.toml"')
            )
        with open_collections(["work", "home"]) as index:
            assert {link.linked for link in index.concepts_of("a plan with brine")} == {"lentils", "water"}
        with open_collections(["work", "home"], concepts=False) as index:
            assert index.concepts_of("a plan with brine") == ()

    def test_a_closed_one_cannot_be_searched(self, two):
        index = open_collections(["work", "home"])
        index.close()
        with pytest.raises(Exception, match="closed"):
            index.search("salt")


class TestOtherModels:
    @pytest.fixture
    def two_models(self, tmp_path, fake_models):
        """Two collections with models of different scales: what one says of an answer, the other says of anything."""
        notes = {"near.md": "# Tides\n\nmoon sun water", "far.md": "# Bread\n\nflour yeast salt oven"}
        low = write_notes(tmp_path / "low", notes)
        high = write_notes(tmp_path / "high", {"far.md": "# Soup\n\nwater carrots onions pepper"})
        write_settings(
            f'[collections.low]\nfolders = ["{low}"]\nmodel = "low"\n'
            f'[collections.high]\nfolders = ["{high}"]\nmodel = "high"\n'
            f'[collections.again]\nfolders = ["{low}"]\nmodel = "high"\n'
        )
        fake_models.encoders["high"] = HighEncoder(make_fake_model("high").config)
        for name in ("low", "high", "again"):
            sync_collection(load_settings(collection=name))

    def test_scores_are_compared_on_the_scale_of_each_model(self, two_models):
        with open_collections(["low", "high"]) as both:
            hits = both.search("moon sun water", mode="dense")
        assert (hits[0].collection, hits[0].title) == ("low", "Tides")
        assert [hit.rank for hit in hits] == [1, 2, 3]
        cosines = {hit.title: hit.scores["dense"] for hit in hits}
        assert cosines["Soup"] > cosines["Tides"], "by cosines alone it would be the other way round"

    @pytest.mark.parametrize("names", [["low", "again"], ["again", "low"]])
    def test_a_note_in_both_is_from_the_one_named_first(self, two_models, names):
        with open_collections(names) as both:
            hits = both.search("moon sun water", mode="dense")
        assert [(hit.collection, hit.title) for hit in hits] == [(names[0], "Tides"), (names[0], "Bread")]

    def test_words_count_by_their_rarity_in_all_of_them(self, two_models):
        with open_collections(["low", "high"]) as both, open_collections(["low"]) as low:
            (alone,) = low.search("yeast", mode="lexical")
            (among,) = both.search("yeast", mode="lexical")
        # log((3 - 1 + .5) / 1.5) in place of log((2 - 1 + .5) / 1.5), which is 0.
        assert alone.score < 1e-4 and among.score > 0.3


class HighEncoder(FakeEncoder):
    """A fake encoder all of whose vectors are close to each other."""

    def __init__(self, config):
        super().__init__(config)
        self.scale = ScoreScale(unrelated=0.97, related=1.0)

    def _vector(self, text):
        vector = super()._vector(text)
        vector[1] += 6
        return vector / np.linalg.norm(vector)


class TestKeepingInStep:
    @pytest.fixture
    def folders(self, tmp_path, fake_encoder):
        for name in ("a", "b", "c"):
            write_notes(tmp_path / name, {f"{name}.md": f"# {name}\n\nText."})
        return tmp_path

    def sync(self, root: Path, *names: str, **options):
        listed = ", ".join(f'"{root / name}"' for name in names)
        write_settings(f"[collections.work]\nfolders = [{listed}]\n")
        return sync_collection(load_settings(collection="work"), **options)

    def test_a_new_one_is_added_and_the_known_ones_are_kept_in_step(self, folders):
        self.sync(folders, "a", "b")
        write_notes(folders / "a", {"a.md": "# Changed\n\nText.", "new.md": "# New\n\nText."})
        (folders / "b" / "b.md").unlink()
        write_notes(folders / "b", {"other.md": "# Other\n\nNothing like it."})
        report = self.sync(folders, "a", "b", "c")
        assert (report.added, report.updated, report.removed, report.unchanged) == (3, 1, 1, 0)
        assert report.notes == 4
        report = self.sync(folders, "a", "b", "c")
        assert (report.added, report.updated, report.removed, report.unchanged) == (0, 0, 0, 4)

    def test_one_that_is_named_no_longer_is_kept_and_reported(self, folders):
        self.sync(folders, "a", "b")
        write_notes(folders / "b", {"late.md": "# Late\n\nText."})
        report = self.sync(folders, "a")
        assert (report.added, report.removed, report.notes) == (1, 0, 3)
        assert folders_no_longer_named(load_settings(collection="work")) == [folders / "b"]

    def test_where_the_settings_name_no_folder_none_is_missed(self, folders):
        self.sync(folders, "a")
        write_settings("[collections.work]\n")
        settings = load_settings(collection="work")
        assert folders_no_longer_named(settings) == []
        assert sync_collection(settings).unchanged == 1

    def test_an_empty_folder_may_be_a_disk_that_is_not_mounted(self, folders):
        self.sync(folders, "a", "b")
        (folders / "a" / "a.md").unlink()
        report = self.sync(folders, "a", "b", "c")
        assert (report.added, report.removed, report.notes) == (1, 0, 3)
        assert [entry.path for entry in report.skipped] == [str(folders / "a")]

    def test_a_rebuild_takes_new_folders_with_it(self, folders):
        self.sync(folders, "a", "b")
        report = self.sync(folders, "a", "b", "c", rebuild=True)
        assert (report.added, report.notes) == (3, 3)

    def test_a_new_folder_that_is_missing_is_an_error(self, folders):
        shutil.rmtree(folders / "b")
        with pytest.raises(FolderUnreadable):
            self.sync(folders, "a", "b")

    def test_a_link_is_the_folder_that_it_leads_to(self, folders):
        (folders / "link").symlink_to(folders / "a")
        self.sync(folders, "link")
        assert folders_no_longer_named(load_settings(collection="work")) == []
        assert self.sync(folders, "link").unchanged == 1


def test_the_settings_of_a_collection_reach_its_index(tmp_path, fake_encoder):
    notes = write_notes(tmp_path / "notes", {"small.md": "# Small\n\nText.", "large.md": "# Large\n\n" + "x " * 99})
    write_settings(f'[collections.work]\nfolders = ["{notes}"]\nmax_file_bytes = 50\n')
    report = sync_collection(load_settings(collection="work"))
    assert (report.notes, [Path(entry.path).name for entry in report.skipped]) == (1, ["large.md"])
    assert sync_index(replace(Settings(tmp_path / "plain")), [notes]).notes == 2
