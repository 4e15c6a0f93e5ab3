import codecs

import pytest

from notesearch.errors import NoteUnreadable
from notesearch.notes.read import decode

GERMAN = "Der Bär läuft über die Straße und frißt Äpfel. Übermäßig große Flächen gehören dazu. Schöne Grüße."
FRENCH = "L'été dernier, à la fête, le garçon a mangé une crêpe. C'était très agréable, même près de la forêt. Où ?"
POLISH = "Zażółć gęślą jaźń. Pójdźmy w góry, gdzie śnieg leży cały rok. Książka była świetna."
JAPANESE = "日本語のテキストです。これはテストです。今日は天気がいいです。"
RUSSIAN = "Сегодня хорошая погода. Мы идём в лес за грибами."


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_unicode_is_read_exactly_and_its_mark_is_dropped(mark: bytes, encoding: str) -> None:
    assert decode(mark + "naïve 猫\r\n".encode(encoding)) == ("naïve 猫\r\n", "")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"),
        (FRENCH, "cp1252"),
        (POLISH, "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        ("Café", "cp1252"),
    ],
)
def test_an_older_encoding_is_guessed_and_named(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == (text, f"not UTF-8: read as {encoding}, which is a guess")


def test_damaged_utf8_stays_utf8() -> None:
    text, problem = decode("äöü äöü ".encode() + b"\xff ok")
    assert text == "äöü äöü \ufffd ok"
    assert problem == "not valid UTF-8 throughout: 1 characters are lost"


def test_utf16_of_odd_length_is_read_as_far_as_possible() -> None:
    text, problem = decode(codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"\x00")
    assert text.startswith("ab")
    assert "UTF-16-LE" in problem


def test_nul_bytes_mean_binary() -> None:
    with pytest.raises(NoteUnreadable) as caught:
        decode(b"abc\0def")
    assert caught.value.message == "binary file"


def test_a_late_nul_byte_does_not() -> None:
    assert decode(b"a" * 9000 + b"\0")[1] == ""


def test_empty_file() -> None:
    assert decode(b"") == ("", "")
