from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from notesearch.errors import UsageError
from notesearch.records import Because, SimilarNote, Suggestions, TagScore
from notesearch.tagging.calibration import Calibration
from notesearch.tagging.classifier import Classifier
from notesearch.tagging.estimators import Estimator, Features, Heads, fast_estimators
from notesearch.tagging.features import Content, Vocabulary
from notesearch.tagging.labels import Example, Examples, Labelled, choose_labels
from notesearch.tagging.taggers import NameTagger, NeighbourTagger, TrainedTagger, suggest

Vectors = NDArray[np.float32]
TRAIN, TEST = np.arange(24), np.arange(24, 30)
EAST, NORTH, NORTHEAST = (np.array(own, dtype=np.float32) for own in ((1, 0), (0, 1), (0.6, 0.8)))


def note(text: str = "", path: str = "/new.md", tags: tuple[str, ...] = ()) -> Content:
    return Content(path, "Title", "", tags, text, (text,))


def unit(vectors: NDArray[np.float64]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def random_features() -> Features:
    generator = np.random.default_rng(0)
    words = "tea milk salt flour queue latency work home school sleep".split()
    notes = []
    for row in range(30):
        text = " ".join(generator.choice(words, 8))
        labels = [label for label in ("work", "at-home", "x") if generator.random() < 0.4] or ["x"]
        notes.append(Labelled(note(text, f"/{row}.md"), tuple(labels)))
    examples = choose_labels(notes, 2)
    return Features(examples, unit(generator.normal(size=(30, 5))), unit(generator.normal(size=(3, 5))))


FEATURES = random_features()
VARIANTS = [variant for estimator in fast_estimators(FEATURES) for variant in estimator.variants()]


def classifier_of(estimator: Estimator, calibration: Calibration) -> Classifier:
    heads, examples = estimator.fit(TRAIN), FEATURES.examples
    return Classifier(
        labels=examples.labels,
        method=estimator.name,
        exclusive=calibration.exclusive,
        heads=heads if heads.terms is not None else replace(heads, terms=np.ones((len(FEATURES.vocabulary.terms), 3))),
        scored_by_terms=heads.terms is not None,
        vocabulary=FEATURES.vocabulary,
        calibration=calibration,
        thresholds=np.full(3, 0.5, dtype=np.float32),
        examples=examples.notes[: len(TRAIN)],
        vectors=FEATURES.vectors[TRAIN],
        name_vectors=FEATURES.name_vectors,
        model="",
        encoder="",
        budget_tokens=0,
        tuned=None,
        trained="",
        data="",
    )


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_trained_tagger_scores_as_its_estimator(exclusive: bool) -> None:
    for estimator in VARIANTS:
        names = (1.5, 0.5) if estimator.uses_names else (0.0, 0.0)
        calibration = Calibration(exclusive, 0.5, (0.2, 0.4, 0.5), 0.5, 0.25, 0.5, names, -0.5)
        tagger = TrainedTagger(classifier_of(estimator, calibration))
        found = tagger.score([FEATURES.examples.contents[row] for row in TEST], FEATURES.vectors[TEST])
        expected = calibration.probabilities(estimator.score(TRAIN, TEST), FEATURES.names[TEST])
        assert found.dtype == np.float32 and np.ptp(expected) > 0.1
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4, err_msg=repr(estimator))


WORDS = ("2024", "and tea", "black", "black tea", "flour", "green", "salt", "tea")
WORD_WEIGHTS = np.array([9, 8, 2, 3, 1, 4, -1, 1.5], dtype=np.float32)
EXAMPLES = (
    Example("/east.md", "East", ("tea",)),
    Example("/north.md", "North", ("tea",)),
    Example("", "A text", ("tea", "salt")),
    Example("/northeast.md", "Northeast", ("salt",)),
    Example("/south.md", "South", ("tea",)),
)
EXAMPLE_VECTORS = np.array([EAST, NORTH, NORTHEAST, NORTHEAST, -NORTH])
WORDY = replace(
    classifier_of(VARIANTS[0], Calibration(False, 1, (0.5, 0.5))),
    labels=("salt", "tea"),
    heads=Heads(np.zeros(2, dtype=np.float32), terms=np.column_stack([np.zeros_like(WORD_WEIGHTS), WORD_WEIGHTS])),
    vocabulary=Vocabulary(WORDS, np.ones(len(WORDS), dtype=np.float32)),
    examples=EXAMPLES,
    vectors=EXAMPLE_VECTORS,
    name_vectors=np.array([EAST, EAST]),
)


def neighbour_tagger(
    notes: Sequence[Example], vectors: Vectors, labels: tuple[str, ...], *, exclusive: bool = False
) -> NeighbourTagger:
    contents = tuple(Content(note.path, note.title, "", note.labels, "", ()) for note in notes)
    targets = np.array([[label in note.labels for label in labels] for note in notes])
    return NeighbourTagger(Examples(contents, labels, targets, exclusive, (), ()), vectors)


def explained(content: Content, vector: Vectors, *tags: str) -> tuple[Because, ...]:
    return TrainedTagger(WORDY).explain(content, vector, tags)


def test_words_of_the_largest_weights_come_first_without_those_shown_already() -> None:
    text = "2024 and tea: salt, flour, black tea, green"
    (because,) = explained(note(text), EAST, "tea")
    assert because.words == ("green", "black tea", "flour")
    (because,) = explained(note("salt, 2024, unknown"), EAST, "tea")
    assert because.words == ()
    (because,) = explained(note(text), EAST, "salt")
    assert because.words == ()


def test_at_most_five_words_are_shown() -> None:
    words = tuple(f"word{letter}" for letter in "abcdefg")
    vocabulary = Vocabulary(words, np.ones(7, dtype=np.float32))
    weights = np.array([[0, weight] for weight in range(1, 8)], dtype=np.float32)
    tagger = TrainedTagger(replace(WORDY, vocabulary=vocabulary, heads=replace(WORDY.heads, terms=weights)))
    (because,) = tagger.explain(note(" ".join(words)), EAST, ["tea"])
    assert because.words == words[:1:-1]


@pytest.mark.parametrize("trained", [True, False])
def test_the_most_similar_notes_with_the_tag_are_shown_but_never_the_note_itself(trained: bool) -> None:
    neighbours = neighbour_tagger(EXAMPLES, EXAMPLE_VECTORS, ("salt", "tea"))
    tagger = TrainedTagger(WORDY) if trained else neighbours
    tea, salt = tagger.explain(note(path="/east.md"), EAST, ["tea", "salt"])
    assert tea.notes == (
        SimilarNote("", "A text", pytest.approx(0.6)),
        SimilarNote("/north.md", "North", 0),
        SimilarNote("/south.md", "South", 0),
    )
    assert [similar.title for similar in salt.notes] == ["A text", "Northeast"]
    (tea,) = tagger.explain(note(path="/new.md"), EAST, ["tea"])
    assert [similar.title for similar in tea.notes] == ["East", "A text", "North"]
    (tea,) = tagger.explain(note(path=""), NORTHEAST, ["tea"])
    assert [similar.title for similar in tea.notes] == ["A text", "North", "East"]


def test_a_tag_that_no_other_note_has_is_explained_by_none() -> None:
    tagger = neighbour_tagger(EXAMPLES[:1], EXAMPLE_VECTORS[:1], ("tea",))
    assert tagger.explain(note(path="/east.md"), EAST, ["tea"]) == (Because("tea", (), ()),)


def test_the_nearest_notes_vote_but_not_the_note_itself() -> None:
    examples = tuple(Example(f"/{row}.md", "", ("a",) if row else ("b",)) for row in range(12))
    vectors = np.array([EAST, *[NORTHEAST] * 11])
    tagger = neighbour_tagger(examples, vectors, ("a", "b"), exclusive=True)
    assert tagger.thresholds.tolist() == [0.5, 0.5] and tagger.exclusive
    scores = tagger.score([note(path="/new.md"), note(path="/0.md")], np.array([EAST, EAST]))
    weight = np.exp(-0.4 / 0.1)
    np.testing.assert_allclose(scores, [[9 * weight / (1 + 9 * weight), 1 / (1 + 9 * weight)], [1, 0]], atol=1e-4)


def test_notes_without_any_of_the_labels_are_neighbours_too() -> None:
    examples = (Example("/a.md", "", ("a",)), Example("/none.md", "", ()))
    tagger = neighbour_tagger(examples, np.array([EAST, EAST]), ("a",))
    np.testing.assert_allclose(tagger.score([note()], np.array([EAST])), [[0.5]])


def test_names_and_descriptions_are_compared_with_notes(fake_encoder) -> None:
    tagger = NameTagger(" work, distributed systems:consensus and raft ,,home, ", fake_encoder)
    assert tagger.labels == ("work", "distributed systems", "home")
    assert tagger.thresholds.tolist() == [0.5] * 3 and not tagger.exclusive
    texts = ["distributed systems consensus and raft", "home", "something else altogether"]
    scores = tagger.score([note(text) for text in texts], fake_encoder.encode_passages(texts).vectors)
    assert scores[0, 1] == pytest.approx(1) and scores[0, [0, 2]].max() < 0.5
    assert scores[1, 2] == pytest.approx(1)
    assert (scores >= 0).all() and (scores <= 1).all()
    assert tagger.explain(note(), EAST, ["home"]) == (Because("home", (), ()),)


@pytest.mark.parametrize("labels", ["", " , ,", ":description", "#: x, # "])
def test_no_names_are_an_error(fake_encoder, labels: str) -> None:
    with pytest.raises(UsageError) as caught:
        NameTagger(labels, fake_encoder)
    assert caught.value.hint


def test_names_are_spelt_as_tags_are_and_a_description_without_a_name_is_left_out(fake_encoder) -> None:
    assert NameTagger("#home, : x, # deep  work:y, HOME", fake_encoder).labels == ("home", "deep work")


class Scores:
    """A tagger that gives these scores."""

    def __init__(self, labels: str, thresholds: Sequence[float], *scores: list[float], exclusive: bool = False) -> None:
        self.labels = tuple(labels)
        self.thresholds = np.array(thresholds, dtype=np.float32)
        self.exclusive = exclusive
        self._scores = np.array(scores, dtype=np.float32)

    def score(self, contents: Sequence[Content], vectors: Vectors) -> Vectors:
        assert len(contents) == len(vectors)
        return self._scores

    def explain(self, content: Content, vector: Vectors, tags: Sequence[str]) -> tuple[Because, ...]:
        return tuple(Because(tag, (), (f"{vector[0]:.0f}",)) for tag in tags)


def suggested(
    tagger: Scores, *tags: tuple[str, ...], min_score: float | None = None, top: int | None = 9
) -> list[Suggestions]:
    contents = [note(path=f"/{row}.md", tags=own) for row, own in enumerate(tags)]
    vectors = np.arange(len(tags), dtype=np.float32)[:, np.newaxis]
    return suggest(tagger, contents, vectors, min_score=min_score, top=top)


def test_tags_from_their_threshold_on_are_suggested_and_come_first() -> None:
    tagger = Scores("abcd", [0.75, 0.25, 0.5, 0.25], [0.625, 0.25, 0.125, 0.5], [0.0, 0.0, 0.0, 0.0])
    first, second = suggested(tagger, (), ())
    assert (first.path, first.title) == ("/0.md", "Title")
    assert first.tags == (
        *(TagScore("d", 0.5, True), TagScore("b", 0.25, True)),
        *(TagScore("a", 0.625, False), TagScore("c", 0.125, False)),
    )
    assert first.suggested == first.new_tags == ("d", "b")
    assert first.because == (Because("d", (), ("0",)), Because("b", (), ("0",)))
    assert (second.path, second.suggested, second.because) == ("/1.md", (), ())


def test_exclusive_tags_are_suggested_one_at_most() -> None:
    scores = ([0.5, 0.375, 0.125], [0.25, 0.5, 0.25], [0.375, 0.25, 0.375])
    found = suggested(Scores("abc", [0.5, 0.625, 0.25], *scores, exclusive=True), (), (), ())
    assert [own.suggested for own in found] == [("a",), (), ()]
    found = suggested(Scores("abc", [0.5, 0.625, 0.25], *scores, exclusive=True), (), (), (), min_score=0.25)
    assert [own.suggested for own in found] == [("a",), ("b",), ("a",)]


@pytest.mark.parametrize(("min_score", "tags"), [(0.0, "cba"), (0.25, "cb"), (0.26, "c"), (1.0, "")])
def test_a_least_score_replaces_the_thresholds(min_score: float, tags: str) -> None:
    (found,) = suggested(Scores("abc", [0.1, 0.9, 0.5], [0.125, 0.25, 0.75]), (), min_score=min_score)
    assert found.suggested == tuple(tags)


def test_tags_that_the_note_has_are_present_whatever_their_case() -> None:
    (found,) = suggested(Scores("aBß", [0.5, 0.5, 0.5], [1, 1, 0]), ("A", "b", "SS", "other"))
    assert [(tag.tag, tag.present) for tag in found.tags] == [("a", True), ("B", True), ("ß", True)]
    (found,) = suggested(Scores("ab", [0.5, 0.5], [1, 1]), ("A",))
    assert (found.suggested, found.new_tags) == (("a", "b"), ("b",))


@pytest.mark.parametrize(
    ("top", "shown", "because"),
    [(1, "g", "g"), (3, "gfe", "gfe"), (7, "gfedcba", "gfedcb"), (None, "gfedcb", "gfedcb")],
)
def test_top_limits_what_is_listed(top: int | None, shown: str, because: str) -> None:
    (found,) = suggested(Scores("abcdefg", [0.1] * 7, [row / 8 for row in range(7)]), (), top=top)
    assert [tag.tag for tag in found.tags] == list(shown)
    assert [own.tag for own in found.because] == list(because)


def test_without_a_limit_the_next_best_are_listed_up_to_five() -> None:
    (found,) = suggested(Scores("abcdefg", [0.8] * 7, [row / 8 for row in range(7)]), (), top=None)
    assert [tag.tag for tag in found.tags] == list("gfedc")
    assert found.suggested == ()


def test_no_notes_get_no_suggestions() -> None:
    assert suggest(Scores("a", [0.5]), [], np.empty((0, 1), dtype=np.float32), min_score=None, top=5) == []
