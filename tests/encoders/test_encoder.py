"""The encoder's own part (prompts, truncation, batches, pooling), around a forward pass whose answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.encoders import Encoder, EncoderConfig, PreparedModel
from notesearch.encoders.encoder import load_tokenizer
from notesearch.encoders.models import open_encoder
from notesearch.encoders.token_codes import CodedWord, compress, expand, max_similarities
from notesearch.errors import ModelError

WORDS = ["[PAD]", "[CLS]", "find", "note", "a", "b", "c", "d"]
# The vector of each word; far from zero for the padding, so that it would be noticed in a mean.
VECTORS = np.array(
    [[900, 900], [4, 3], [0, 1], [0, 2], [1, 0], [0, 5], [-3, 0], [2, 2]],
    dtype=np.float32,
)


class LookUp:
    """A forward pass that gives each token its word's vector, and remembers what it was asked."""

    batch_tokens = 2048
    concurrency = 1

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any]] = []

    def __call__(self, input_ids: Any, attention_mask: Any) -> Any:
        self.calls.append((input_ids, attention_mask))
        return VECTORS[input_ids]


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    """Words by spaces, [CLS] in front, and padding and truncation as a careless publisher may leave them on."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 1)])
    tokenizer.enable_padding(length=9)
    tokenizer.enable_truncation(2)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def config(**changes: Any) -> EncoderConfig:
    values: dict[str, Any] = {
        "name": "fake",
        "fingerprint": "0" * 32,
        "pooling": "mean",
        "max_tokens": 8,
        "query_prompt": "",
        "passage_prompt": "",
        "pad_token_id": 0,
        "dim": 2,
    }
    return EncoderConfig(**(values | changes))


def test_mean_pooling_leaves_padding_out(tokenizer_file: Path) -> None:
    encoder = Encoder(config(), tokenizer_file, LookUp())
    # [CLS] a = (4, 3) + (1, 0) = (5, 3); [CLS] b b c = (4-3, 3+5+5) = (1, 13).
    expected = [[5 / 34**0.5, 3 / 34**0.5], [1 / 170**0.5, 13 / 170**0.5]]
    np.testing.assert_allclose(encoder.encode_passages(["a", "b b c"]).vectors, expected, rtol=1e-6)


def test_cls_pooling_takes_the_first_token(tokenizer_file: Path) -> None:
    encoder = Encoder(config(pooling="cls"), tokenizer_file, LookUp())
    np.testing.assert_allclose(encoder.encode_passages(["a", "b b c"]).vectors, [[0.8, 0.6], [0.8, 0.6]], rtol=1e-6)


def test_a_query_is_one_vector_of_length_1(tokenizer_file: Path) -> None:
    vector = Encoder(config(), tokenizer_file, LookUp()).encode_query("a b").vector
    assert vector.shape == (2,)
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, [5 / 89**0.5, 8 / 89**0.5], rtol=1e-6)


def test_a_vector_of_zeros_does_not_become_nan(tokenizer_file: Path) -> None:
    class Nothing(LookUp):
        def __call__(self, input_ids: Any, attention_mask: Any) -> Any:
            return np.zeros((*input_ids.shape, 2), dtype=np.float32)

    encoder = Encoder(config(), tokenizer_file, Nothing())
    assert encoder.encode_query("a").vector.tolist() == [0, 0]


def test_prompts_go_before_queries_and_passages(tokenizer_file: Path) -> None:
    forward = LookUp()
    encoder = Encoder(config(query_prompt="find ", passage_prompt="note "), tokenizer_file, forward)
    encoder.encode_query("a").vector
    encoder.encode_passages(["a"]).vectors
    assert [ids.tolist() for ids, _ in forward.calls] == [[[1, 2, 4]], [[1, 3, 4]]]


def test_truncates_at_max_tokens_whatever_the_tokenizer_file_says(tokenizer_file: Path) -> None:
    forward = LookUp()
    Encoder(config(max_tokens=4), tokenizer_file, forward).encode_query("a b c d").vector
    assert forward.calls[0][0].tolist() == [[1, 4, 5, 6]]


def test_pads_with_the_models_padding_and_masks_it(tokenizer_file: Path) -> None:
    forward = LookUp()
    Encoder(config(pad_token_id=7), tokenizer_file, forward).encode_passages(["a", "a b c"]).vectors
    ((ids, mask),) = forward.calls
    assert ids.tolist() == [[1, 4, 5, 6], [1, 4, 7, 7]]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert ids.dtype == mask.dtype == np.int64


def test_many_passages_come_back_in_the_order_given(tokenizer_file: Path) -> None:
    forward = LookUp()
    encoder = Encoder(config(max_tokens=300), tokenizer_file, forward)
    generator = np.random.default_rng(3)
    texts = [" ".join(generator.choice(["a", "b", "c", "d"], size)) for size in generator.integers(1, 250, 80)]
    together = encoder.encode_passages(texts).vectors
    calls = list(forward.calls)
    alone = np.array([encoder.encode_query(text).vector for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert 1 < len(calls) < 80
    assert sum(len(ids) for ids, _ in calls) == 80
    assert max(ids.size for ids, _ in calls) <= 2048
    computed = sum(ids.size for ids, _ in calls)
    assert computed < 1.2 * sum(mask.sum() for _, mask in calls)  # texts of like length share a batch


def test_a_text_longer_than_a_batch_is_still_encoded(tokenizer_file: Path) -> None:
    encoder = Encoder(config(max_tokens=5000), tokenizer_file, LookUp())
    vectors = encoder.encode_passages(["a " * 4000, "b"]).vectors
    np.testing.assert_allclose(vectors[1], [4 / 80**0.5, 8 / 80**0.5], rtol=1e-6)
    np.testing.assert_allclose(vectors[0], np.array([4004, 3]) / np.hypot(4004, 3), rtol=1e-6)


def test_no_passages_give_no_vectors(tokenizer_file: Path) -> None:
    forward = LookUp()
    vectors = Encoder(config(), tokenizer_file, forward).encode_passages([]).vectors
    assert vectors.shape == (0, 2)
    assert forward.calls == []


def test_a_text_without_any_token_is_encoded(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "a": 4}, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    vectors = Encoder(config(), tmp_path / "tokenizer.json", LookUp()).encode_passages(["", "a"]).vectors
    assert vectors.tolist() == [[0, 0], [1, 0]]


def test_a_damaged_tokenizer_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(b"\xff{}")
    with pytest.raises(ModelError) as caught:
        Encoder(config(), tmp_path / "tokenizer.json", LookUp())
    assert str(tmp_path / "tokenizer.json") in caught.value.message
    assert caught.value.hint


@pytest.fixture(scope="module")
def default_encoder(default_model: PreparedModel) -> Encoder:
    return open_encoder(default_model)


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("Two plain words.", [0, 4, 10, 15]),
        ("naïve Übergänge", [0, 6, 10, 14]),
        ("分布式系统 ok", [0, 1, 2, 3, 4, 6]),
        ("🙂 smile", [0, 2]),
        ("", []),
    ],
)
def test_token_starts_count_characters(default_encoder: Encoder, text: str, starts: list[int]) -> None:
    assert default_encoder.token_starts(text) == starts


def test_token_starts_of_notes_ascend_within_the_text(default_encoder: Encoder, notes: list[str]) -> None:
    for note in notes:
        starts = default_encoder.token_starts(note)
        assert starts == sorted(starts)
        assert starts[0] >= 0
        assert starts[-1] < len(note)
        assert not any(note[start].isspace() for start in starts)


def test_token_starts_go_beyond_max_tokens_and_leave_encoding_alone(default_encoder: Encoder) -> None:
    text = "word " * 700
    before = default_encoder.encode_query(text).vector
    assert default_encoder.token_starts(text) == list(range(0, 3500, 5))
    np.testing.assert_array_equal(default_encoder.encode_query(text).vector, before)


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta"])
def test_token_starts_with_other_tokenizers(tiny_models: Any, name: str) -> None:
    # Several byte-level tokens may share a character, and so a start.
    encoder = Encoder(config(), tiny_models.directory(name) / "tokenizer.json", LookUp())
    text = "Café, 分布式 🙂\nand the end of the story"
    starts = encoder.token_starts(text)
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert starts[-1] >= text.index("story")
    assert {text.index("分"), text.index("🙂")} <= set(starts)


ODD_PASSAGES = ["", "?! …", "to be or not to be", "Raft, raft and RAFT", "分布式系统 ok", "naïve 🙂 Übergänge", "\n\t"]


def code_counts(encoder: Encoder, codes: list[bytes]) -> list[int]:
    code_bytes = -(-encoder.code_bits // 8)
    assert all(len(own) % code_bytes == 0 for own in codes)
    return [len(own) // code_bytes for own in codes]


def test_the_words_of_a_query_are_found_in_it_and_not_in_its_prompt(tokenizer_file: Path) -> None:
    encoder = Encoder(config(query_prompt="find note "), tokenizer_file, LookUp())
    query = encoder.encode_query("b  c b")
    # [CLS] find note b c b
    assert query.words == (CodedWord("b", (3, 5), ((0, 1), (5, 6))), CodedWord("c", (4,), ((3, 4),)))
    np.testing.assert_allclose(query.word_vectors, [[0, 1], [-1, 0]], atol=1e-6)


def test_the_words_of_a_passage_are_found_in_it_and_not_in_its_prompt(tokenizer_file: Path) -> None:
    encoder = Encoder(config(passage_prompt="note "), tokenizer_file, LookUp())
    assert encoder.words_of_codes("d  note") == [
        CodedWord("d", (2,), ((0, 1),)),
        CodedWord("note", (3,), ((3, 7),)),
    ]
    # d is (2, 2) and note (0, 2): both components of the first are above 0, the second one of the second.
    assert encoder.encode_passages(["d  note"]).codes == [bytes([0b11000000, 0b01000000])]


def test_what_is_cut_off_has_no_code(tokenizer_file: Path) -> None:
    encoder = Encoder(config(max_tokens=4), tokenizer_file, LookUp())
    # [CLS] b c b
    assert encoder.words_of_codes("b c b d b") == [
        CodedWord("b", (1, 3), ((0, 1), (4, 5))),
        CodedWord("c", (2,), ((2, 3),)),
    ]
    assert code_counts(encoder, encoder.encode_passages(["b c b d b", "b c", "d"]).codes) == [2, 2, 1]
    assert [word.word for word in encoder.encode_query("b c b d b").words] == ["b", "c"]


def test_padding_has_no_part_in_codes(tokenizer_file: Path) -> None:
    encoder = Encoder(config(), tokenizer_file, LookUp())
    passages = ["c", "", "b c d b c", "a", "d c"]  # an empty one has the code of [CLS]
    together = encoder.encode_passages(passages).codes
    assert together == [encoder.encode_passages([passage]).codes[0] for passage in passages]
    expected = np.array([[-3, 0], [4, 3], [1, 0]], dtype=np.float32)
    assert [together[number] for number in (0, 1, 3)] == [compress(row[np.newaxis]) for row in expected]


def test_many_passages_get_the_codes_in_the_order_given(tokenizer_file: Path) -> None:
    encoder = Encoder(config(max_tokens=300), tokenizer_file, LookUp())
    generator = np.random.default_rng(4)
    texts = [
        " ".join(generator.choice(["find", "note", "b", "c", "d"], size)) for size in generator.integers(1, 250, 60)
    ]
    together = encoder.encode_passages(texts).codes
    assert len(set(together)) > 5
    assert together == [encoder.encode_passages([text]).codes[0] for text in texts]


def test_every_code_of_a_passage_stands_for_a_word(default_encoder: Encoder, passages: list[str]) -> None:
    texts = [*passages, *ODD_PASSAGES, "many different words " + " ".join(f"word{number}" for number in range(300))]
    codes = default_encoder.encode_passages(texts).codes
    assert default_encoder.code_bits == 256
    assert code_counts(default_encoder, codes) == [len(default_encoder.words_of_codes(text)) for text in texts]
    assert all(codes)


def test_the_words_of_a_query_have_vectors_of_length_1(default_encoder: Encoder, passages: list[str]) -> None:
    for text in [*passages[:5], *ODD_PASSAGES]:
        query = default_encoder.encode_query(text)
        assert query.word_vectors.shape == (len(query.words), 256)
        assert query.word_vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(query.word_vectors, axis=1), 1, rtol=1e-5)
        for word in query.words:
            assert all(text[start:end].lower() == word.word for start, end in word.spans)


def test_each_word_of_a_text_is_closest_to_itself(default_encoder: Encoder, passages: list[str]) -> None:
    for text in passages[:5]:
        query = default_encoder.encode_query(text)
        (codes,) = default_encoder.encode_passages([text]).codes
        vectors = expand(codes, default_encoder.code_bits)
        closest = (query.word_vectors @ vectors.T).argmax(axis=1)
        met = [default_encoder.words_of_codes(text)[place].word for place in closest.tolist()]
        assert met == [word.word for word in query.words]
        similarities = max_similarities(query.word_vectors, vectors, [len(vectors)])
        np.testing.assert_allclose(similarities, 1, atol=0.15)


@pytest.mark.parametrize(
    "text",
    [
        "word " * 30_000,
        "a line of words\n" * 9_000,
        "the quick brown fox, jumping; over\tthe lazy dog's back.\n\n" * 2_500,
        "  " + "tea, " * 30_000,
    ],
)
def test_the_tokens_of_a_long_text_start_where_they_do_in_the_whole(default_encoder: Encoder, text: str) -> None:
    whole = load_tokenizer(default_encoder._tokenizer_file).encode(text, add_special_tokens=False)
    assert len(text) > 100_000
    assert default_encoder.token_starts(text) == [start for start, _ in whole.offsets]


def test_a_word_that_is_longer_than_what_is_tokenised_at_once_is_cut(default_encoder: Encoder) -> None:
    text = "#" * 250_000 + " end"
    starts = default_encoder.token_starts(text)
    assert starts == [*range(250_000), 250_001]


def test_places_of_codes_are_those_of_their_words(default_encoder: Encoder, passages: list[str]) -> None:
    for text in [*passages, *ODD_PASSAGES, " ".join(f"word{number} the" for number in range(300))]:
        words = default_encoder.words_of_codes(text)
        numbers = [len(words) - 1, 0, len(words) // 2]
        assert default_encoder.places_of_codes(text, len(words), numbers) == [words[n].spans for n in numbers]
        assert default_encoder.places_of_codes(text, len(words) + 1_000, numbers) == []
