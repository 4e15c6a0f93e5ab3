from pathlib import Path

import pytest

from notesearch.errors import IndexMissing, SettingsError
from notesearch.library.concepts import list_concepts, suggest_concepts
from notesearch.library.index import sync_index
from notesearch.library.search import open_index
from notesearch.settings import Settings

# Far apart in names, joined by links.
LINKED = {
    "zen/anicca.md": "# Impermanence (anicca)\n\nSee [[stores|replicas]], [[2024-05-01]], [[nowhere]] and [[stores]].",
    "stores.md": "# Eventual consistency, precisely\n\nBack to [zen](zen/anicca.md), on to [[guide]].",
    "guide.md": "# How one keeps all of the replicas of a store in step\n\nText.",
    "2024-05-01.md": "# 1 May 2024\n\nText.",
}


@pytest.fixture
def settings(tmp_path, fake_encoder) -> Settings:
    return Settings(tmp_path / "index")


@pytest.fixture
def index(settings, tmp_path):
    def make(notes: dict[str, str]) -> None:
        for name, text in notes.items():
            path = tmp_path / "notes" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        sync_index(settings, [tmp_path / "notes"])

    return make


def with_concepts(settings: Settings, tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "concepts.toml"
    path.write_text(text, encoding="utf-8")
    return Settings(settings.index_dir, concepts=path)


def pairs(proposals) -> set[tuple[str, str]]:
    return {(found.idea, found.linked) for found in proposals}


def tagged(*tags: str) -> str:
    return f"---\ntags: [{', '.join(tags)}]\n---\nText."


def test_linked_notes_with_names_far_apart_are_proposed_once(settings, index):
    index(LINKED)
    (found,) = suggest_concepts(settings)
    assert (found.idea, found.linked) == ("Eventual consistency", "Impermanence")
    assert found.why == "linked: stores.md → zen/anicca.md"
    assert found.similarity <= 0.5


def test_names_that_the_encoder_sees_as_kin_are_not_proposed(settings, index):
    index({"a.md": "# Raft leader\n\n[[b]]", "b.md": "# Leader of raft\n\nText."})
    assert suggest_concepts(settings) == []


def test_what_the_file_has_is_not_proposed_whichever_way_it_is_written(settings, index, tmp_path):
    index(LINKED)
    known = with_concepts(settings, tmp_path, '[concepts]\nIMPERMANENCE = ["eventual consistency"]')
    assert suggest_concepts(known) == []


def test_tags_that_meet_more_often_than_by_chance_are_proposed(settings, index):
    notes = {f"both{n}.md": tagged("yoga", "back-pain") for n in range(6)}
    notes |= {f"one{n}.md": tagged("back-pain") for n in range(2)}
    notes |= {f"rest{n}.md": tagged("cooking") for n in range(20)}
    index(notes)
    (found,) = suggest_concepts(settings)
    assert {found.idea, found.linked} == {"yoga", "back pain"}
    assert found.why == "together on 6 of 6 notes with #yoga"


@pytest.mark.parametrize(
    "notes",
    [
        # Twice may be an accident.
        {f"both{n}.md": tagged("yoga", "pain") for n in range(2)} | {f"r{n}.md": tagged("food") for n in range(40)},
        # All notes have the one tag: it says nothing about the other.
        {f"both{n}.md": tagged("yoga", "mine") for n in range(9)} | {f"r{n}.md": tagged("mine") for n in range(9)},
        # One tag is a part of the other.
        {f"both{n}.md": tagged("food", "food/bread") for n in range(6)} | {f"r{n}.md": tagged("x") for n in range(9)},
    ],
)
def test_tags_that_meet_by_chance_or_nature_are_not_proposed(settings, index, notes):
    index(notes)
    assert suggest_concepts(settings) == []


def test_the_farthest_apart_come_first_up_to_the_limit(settings, index):
    words = ["quorum", "lentils", "sesshin", "invoice", "violin"]
    index({f"{word}.md": f"# {word}\n\n" + " ".join(f"[[{other}]]" for other in words) for word in words})
    found = suggest_concepts(settings)
    assert len(found) >= 3
    assert [proposal.similarity for proposal in found] == sorted(proposal.similarity for proposal in found)
    assert suggest_concepts(settings, limit=2) == found[:2]
    assert not any(proposal.idea == proposal.linked for proposal in found)


def test_without_an_index_there_is_nothing_to_propose_from(settings):
    with pytest.raises(IndexMissing):
        suggest_concepts(settings)


def test_ideas_that_no_note_mentions_are_told(settings, index, tmp_path):
    index(LINKED)
    known = with_concepts(
        settings,
        tmp_path,
        '[concepts]\nimpermanence = ["eventually consistent", "consistency eventual", "c++ \\"x\\""]',
    )
    concepts, unmentioned = list_concepts(known)
    assert len(concepts.links) == 3
    assert unmentioned == {"consistency eventual", 'c++ "x"'}


def test_concepts_are_listed_without_an_index(settings, tmp_path):
    concepts, unmentioned = list_concepts(with_concepts(settings, tmp_path, '[concepts]\na = ["b"]'))
    assert (len(concepts.links), unmentioned) == (1, set())


def test_there_may_be_no_file(settings):
    assert list_concepts(settings) == (None, set())


def test_a_missing_file_that_was_named_is_an_error(settings, tmp_path):
    named = Settings(settings.index_dir, concepts=tmp_path / "missing.toml")
    for ask in (list_concepts, suggest_concepts):
        with pytest.raises(SettingsError, match=r"missing\.toml"):
            ask(named)


def test_an_index_is_opened_with_the_usual_concepts_others_or_none(settings, index, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    index(LINKED)
    usual, other = tmp_path / "config" / "notesearch" / "concepts.toml", tmp_path / "other.toml"
    usual.parent.mkdir(parents=True)
    usual.write_text('[concepts]\nraft = ["paxos"]')
    other.write_text('[concepts]\nraft = ["boats"]')

    def linked(**options) -> list[str]:
        with open_index(settings.index_dir, **options) as opened:
            return [link.linked for link in opened.concepts_of("raft")]

    assert (linked(), linked(concepts=other), linked(concepts=False)) == (["paxos"], ["boats"], [])
