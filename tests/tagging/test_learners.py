import numpy as np
import pytest
from numpy.typing import NDArray

from notesearch.tagging.estimators import (
    Heads,
    Learner,
    Material,
    MostFrequent,
    Neighbours,
    Ridge,
    fast_learners,
    term_scores,
)
from notesearch.tagging.features import Content, WeighedTerms, count_terms
from notesearch.tagging.labels import Labelled, choose_labels

WORDS = "tea milk salt flour consistency availability latency queue sleep school".split()
TRAIN, TEST = np.arange(0, 24), np.arange(24, 30)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def material() -> Material:
    generator = np.random.default_rng(0)
    notes = []
    for row in range(30):
        text = " ".join(generator.choice(WORDS, 8))
        labels = [label for place, label in enumerate("abc") if row % 3 == place or generator.random() < 0.2]
        notes.append(Labelled(Content(f"/{row}.md", "", "", (), text, (text,)), tuple(labels)))
    examples = choose_labels(notes, 2)
    return Material(examples, unit(generator.normal(size=(30, 5))), unit(generator.normal(size=(3, 5))))


def every_variant(material: Material) -> list[Learner]:
    return [variant for learner in fast_learners(material) for variant in learner.variants()]


def weighed(material: Material, rows: NDArray[np.int64]) -> list[WeighedTerms]:
    return [material.vocabulary.weigh(count_terms(material.examples.contents[row].text)) for row in rows]


def applied(heads: Heads, material: Material, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """What linear heads say of notes."""
    scores = np.tile(heads.bias, (len(rows), 1))
    if heads.terms is not None:
        scores += term_scores(heads.terms, weighed(material, rows))
    if heads.vectors is not None:
        scores += material.vectors[rows] @ heads.vectors
    return scores


def test_the_simplest_learner_comes_first_and_all_have_names_of_their_own(material: Material) -> None:
    names = [learner.name for learner in fast_learners(material)]
    assert names[0] == "most frequent" and names[-1] == "tf-idf + embeddings"
    assert len(set(names)) == len(names)
    for learner in fast_learners(material):
        assert not learner.slow
        assert {variant.name for variant in learner.variants()} == {learner.name}
        assert len(set(learner.variants())) == len(learner.variants())
        assert learner in learner.variants() or isinstance(learner, Ridge)


def test_what_is_learnt_for_good_scores_as_the_learner_itself(material: Material) -> None:
    for learner in every_variant(material):
        heads = learner.learn(TRAIN)
        scores = learner.score(TRAIN, TEST)
        assert scores.shape == (len(TEST), 3) and scores.dtype == heads.bias.dtype == np.float32
        if not heads.neighbours:
            np.testing.assert_allclose(applied(heads, material, TEST), scores, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("learner", range(6))
def test_only_the_notes_to_learn_from_are_learnt_from(material: Material, learner: int) -> None:
    examples = material.examples
    other = np.where(np.isin(np.arange(30), TEST)[:, np.newaxis], ~examples.targets, examples.targets)
    changed = Material(
        type(examples)(examples.contents, examples.labels, other, False, (), ()),
        material.vectors,
        material.name_vectors,
    )
    own, same = fast_learners(material)[learner], fast_learners(changed)[learner]
    np.testing.assert_array_equal(own.score(TRAIN, TEST), same.score(TRAIN, TEST))
    assert (own.score(np.arange(30), TEST) != same.score(np.arange(30), TEST)).any()


@pytest.mark.parametrize(("terms", "mixture"), [(True, 0.0), (False, 1.0), (True, 0.25)])
def test_ridge_is_least_squares_on_both_kinds_of_features_side_by_side(
    material: Material, terms: bool, mixture: float
) -> None:
    features = np.column_stack([terms * material.terms.toarray(), mixture**0.5 * material.vectors, np.ones(30)]).astype(
        np.float64
    )
    known = features[TRAIN]
    system = known.T @ known + np.eye(features.shape[1]) / 6
    weights = np.linalg.solve(system, known.T @ material.targets[TRAIN])
    scores = Ridge(material, terms=terms, mixture=mixture, strength=6).score(TRAIN, TEST)
    np.testing.assert_allclose(scores, features[TEST] @ weights, rtol=1e-3, atol=1e-4)


def test_heads_hold_what_takes_part(material: Material) -> None:
    heads = [learner.learn(TRAIN) for learner in fast_learners(material)]
    parts = [(own.terms is not None, own.vectors is not None, own.neighbours > 0) for own in heads]
    nothing = (False, False, False)
    expected = [nothing, nothing, (False, False, True), (True, False, False), (False, True, False), (True, True, False)]
    assert parts == expected


def test_the_most_frequent_labels_by_hand(material: Material) -> None:
    frequencies = material.targets[TRAIN].sum(axis=0) / len(TRAIN)
    np.testing.assert_allclose(MostFrequent(material).score(TRAIN, TEST[:2]), [frequencies] * 2, rtol=1e-6)


def test_neighbours_take_the_labels_of_the_closest(material: Material) -> None:
    cosines = material.vectors[TEST] @ material.vectors[TRAIN].T
    scores = Neighbours(material, count=1).score(TRAIN, TEST)
    np.testing.assert_array_equal(scores, material.targets[TRAIN[cosines.argmax(axis=1)]])


def test_what_the_names_of_labels_say_by_hand() -> None:
    texts = {"x": "Deep work, deep work, tea", "tea": "tea and deep", "Deep_Work": "x of a/c with b", "a/b-c": "a b"}
    notes = [Labelled(Content(f"/{label}", "", "", (), text, (text,)), (label,)) for label, text in texts.items()]
    vectors = unit(np.random.default_rng(1).normal(size=(8, 3)))
    material = Material(choose_labels(notes, 1), vectors[:4], vectors[4:])
    assert material.examples.labels == ("Deep_Work", "a/b-c", "tea", "x")
    np.testing.assert_allclose(material.hints[:, :, 0], vectors[:4] @ vectors[4:].T, rtol=1e-5)
    counts = [[2, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_allclose(material.hints[:, :, 1], np.log1p(counts), rtol=1e-6)
