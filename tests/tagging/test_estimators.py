from math import exp

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from notesearch.tagging.estimators import (
    Estimator,
    Features,
    Heads,
    MostFrequent,
    Neighbours,
    Ridge,
    fast_estimators,
    kernel_of,
    neighbour_scores,
    solve_ridge,
    term_scores,
)
from notesearch.tagging.features import Content, WeighedTerms, count_terms
from notesearch.tagging.labels import Labelled, choose_labels

TARGETS = np.array([[True, False], [True, True], [False, True]])


def test_the_nearest_vote_weighted_by_similarity() -> None:
    cosines = np.array([[0.9, 0.8, 0.1], [-0.5, 0.2, 0.3]], dtype=np.float32)
    votes = neighbour_scores(cosines, TARGETS, 2)
    assert votes.dtype == np.float32
    less = exp(-1) / (1 + exp(-1))
    np.testing.assert_allclose(votes, [[1, less], [less, 1]], rtol=1e-5)


@pytest.mark.parametrize("count", [3, 20])
def test_all_vote_where_there_are_no_more_examples(count: int) -> None:
    votes = neighbour_scores(np.full((1, 3), 0.5, dtype=np.float32), TARGETS, count)
    np.testing.assert_allclose(votes, [[2 / 3, 2 / 3]], rtol=1e-6)


def test_votes_are_shares_even_where_nothing_is_similar() -> None:
    cosines = np.random.default_rng(0).uniform(-1, 1, (50, 30)).astype(np.float32) * 100
    targets = np.random.default_rng(1).random((30, 4)) < 0.5
    votes = neighbour_scores(cosines, targets, 7)
    assert votes.min() >= 0 and votes.max() <= 1 + 1e-6
    np.testing.assert_allclose(neighbour_scores(cosines, np.ones_like(targets), 7), 1, rtol=1e-5)


def test_scores_of_terms_by_hand() -> None:
    weights = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
    known = WeighedTerms(np.array([2, 0]), np.array([0.5, 2], dtype=np.float32))
    unknown = WeighedTerms(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
    np.testing.assert_array_equal(term_scores(weights, [known, unknown]), [[4.5, 7], [0, 0]])
    assert term_scores(weights, []).shape == (0, 2)


def test_a_solution_by_hand() -> None:
    # The examples are 1 and 0. Kernel + 1 + λ is [[3, 1], [1, 2]], its inverse [[2, -1], [-1, 3]] / 5.
    kernel = np.array([[1, 0], [0, 0]], dtype=np.float32)
    weights = solve_ridge(kernel, np.array([[True, False], [False, True]]), regularisation=1)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [[0.4, -0.2], [-0.2, 0.6]], rtol=1e-6)
    np.testing.assert_allclose(np.array([2 * 1 + 1, 1]) @ weights, [1.0, 0.0], atol=1e-6)
    np.testing.assert_array_equal(kernel, [[1, 0], [0, 0]])


@pytest.mark.parametrize("regularisation", [10, 0.5, 0.02])
@pytest.mark.parametrize(("examples", "features"), [(7, 3), (5, 20)])
def test_kernels_give_what_explicit_features_give(regularisation: float, examples: int, features: int) -> None:
    generator = np.random.default_rng(1)
    known, new = generator.normal(size=(2, examples, features)).astype(np.float32)
    targets = generator.random((examples, 4)) < 0.4
    dual = (new @ known.T + 1) @ solve_ridge(kernel_of(known), targets, regularisation)
    with_bias, new_with_bias = (np.column_stack([rows, np.ones(examples)]).astype(np.float64) for rows in (known, new))
    system = with_bias.T @ with_bias + np.eye(features + 1) * regularisation
    primal = new_with_bias @ np.linalg.solve(system, with_bias.T @ targets)
    np.testing.assert_allclose(dual, primal, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rows", [0, 1, 512, 600])
def test_the_kernel_of_a_sparse_matrix_is_that_of_a_dense_one(rows: int) -> None:
    matrix = sparse.random(rows, 30, density=0.1, format="csr", dtype=np.float32, random_state=3)
    kernel = kernel_of(matrix)
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel, kernel_of(matrix.toarray()), rtol=1e-5, atol=1e-6)


WORDS = "tea milk salt flour consistency availability latency queue sleep school".split()
TRAIN, TEST = np.arange(0, 24), np.arange(24, 30)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def features() -> Features:
    generator = np.random.default_rng(0)
    notes = []
    for row in range(30):
        text = " ".join(generator.choice(WORDS, 8))
        labels = [label for place, label in enumerate("abc") if row % 3 == place or generator.random() < 0.2]
        notes.append(Labelled(Content(f"/{row}.md", "", "", (), text, (text,)), tuple(labels)))
    examples = choose_labels(notes, 2)
    return Features(examples, unit(generator.normal(size=(30, 5))), unit(generator.normal(size=(3, 5))))


def every_variant(features: Features) -> list[Estimator]:
    return [variant for estimator in fast_estimators(features) for variant in estimator.variants()]


def weighed(features: Features, rows: NDArray[np.int64]) -> list[WeighedTerms]:
    return [features.vocabulary.weigh(count_terms(features.examples.contents[row].text)) for row in rows]


def applied(heads: Heads, features: Features, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The scores of linear heads."""
    scores = np.tile(heads.bias, (len(rows), 1))
    if heads.terms is not None:
        scores += term_scores(heads.terms, weighed(features, rows))
    if heads.vectors is not None:
        scores += features.vectors[rows] @ heads.vectors
    return scores


def test_the_baseline_comes_first_and_all_have_names_of_their_own(features: Features) -> None:
    names = [estimator.name for estimator in fast_estimators(features)]
    assert names[0] == "most frequent" and names[-1] == "tf-idf + embeddings"
    assert len(set(names)) == len(names)
    for estimator in fast_estimators(features):
        assert not estimator.slow
        assert {variant.name for variant in estimator.variants()} == {estimator.name}
        assert len(set(estimator.variants())) == len(estimator.variants())
        assert estimator in estimator.variants() or isinstance(estimator, Ridge)


def test_the_heads_of_a_fit_score_as_the_estimator_itself(features: Features) -> None:
    for estimator in every_variant(features):
        heads = estimator.fit(TRAIN)
        scores = estimator.score(TRAIN, TEST)
        assert scores.shape == (len(TEST), 3) and scores.dtype == heads.bias.dtype == np.float32
        if not heads.neighbours:
            np.testing.assert_allclose(applied(heads, features, TEST), scores, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("estimator", range(6))
def test_the_labels_of_test_notes_make_no_difference(features: Features, estimator: int) -> None:
    examples = features.examples
    other = np.where(np.isin(np.arange(30), TEST)[:, np.newaxis], ~examples.targets, examples.targets)
    changed = Features(
        type(examples)(examples.contents, examples.labels, other, False, (), ()),
        features.vectors,
        features.name_vectors,
    )
    own, same = fast_estimators(features)[estimator], fast_estimators(changed)[estimator]
    np.testing.assert_array_equal(own.score(TRAIN, TEST), same.score(TRAIN, TEST))
    assert (own.score(np.arange(30), TEST) != same.score(np.arange(30), TEST)).any()


@pytest.mark.parametrize(("terms", "vector_weight"), [(True, 0.0), (False, 1.0), (True, 0.25)])
def test_ridge_is_least_squares_on_both_kinds_of_features_side_by_side(
    features: Features, terms: bool, vector_weight: float
) -> None:
    parts = [terms * features.terms.toarray(), vector_weight**0.5 * features.vectors, np.ones(30)]
    explicit = np.column_stack(parts).astype(np.float64)
    known = explicit[TRAIN]
    system = known.T @ known + np.eye(explicit.shape[1]) / 6
    weights = np.linalg.solve(system, known.T @ features.targets[TRAIN])
    scores = Ridge(features, terms=terms, vector_weight=vector_weight, regularisation=1 / 6).score(TRAIN, TEST)
    np.testing.assert_allclose(scores, explicit[TEST] @ weights, rtol=1e-3, atol=1e-4)


def test_heads_hold_the_weights_of_the_features_used(features: Features) -> None:
    heads = [estimator.fit(TRAIN) for estimator in fast_estimators(features)]
    parts = [(own.terms is not None, own.vectors is not None, own.neighbours > 0) for own in heads]
    nothing = (False, False, False)
    expected = [nothing, nothing, (False, False, True), (True, False, False), (False, True, False), (True, True, False)]
    assert parts == expected


def test_the_most_frequent_labels_by_hand(features: Features) -> None:
    frequencies = features.targets[TRAIN].sum(axis=0) / len(TRAIN)
    np.testing.assert_allclose(MostFrequent(features).score(TRAIN, TEST[:2]), [frequencies] * 2, rtol=1e-6)


def test_one_neighbour_gives_its_labels(features: Features) -> None:
    cosines = features.vectors[TEST] @ features.vectors[TRAIN].T
    scores = Neighbours(features, count=1).score(TRAIN, TEST)
    np.testing.assert_array_equal(scores, features.targets[TRAIN[cosines.argmax(axis=1)]])


def test_name_features_by_hand() -> None:
    texts = {"x": "Deep work, deep work, tea", "tea": "tea and deep", "Deep_Work": "x of a/c with b", "a/b-c": "a b"}
    notes = [Labelled(Content(f"/{label}", "", "", (), text, (text,)), (label,)) for label, text in texts.items()]
    vectors = unit(np.random.default_rng(1).normal(size=(8, 3)))
    features = Features(choose_labels(notes, 1), vectors[:4], vectors[4:])
    assert features.examples.labels == ("Deep_Work", "a/b-c", "tea", "x")
    np.testing.assert_allclose(features.names[:, :, 0], vectors[:4] @ vectors[4:].T, rtol=1e-5)
    counts = [[2, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_allclose(features.names[:, :, 1], np.log1p(counts), rtol=1e-6)
