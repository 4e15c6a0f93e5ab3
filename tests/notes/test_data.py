"""What is data in a note and not text, through parse_note and chunk_note."""

import base64
import random
import re
import time
import zlib
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notesearch.notes import chunk_note, parse_note
from notesearch.notes.data import find_data
from notesearch.records import Chunk, Chunking

CODE = base64.b64encode(random.Random(0).randbytes(18_000)).decode()
PEM = "\n".join(re.findall(".{1,64}", base64.b64encode(random.Random(1).randbytes(300)).decode()))


def chunks_of(text: str, name: str = "a.md") -> tuple[Chunk, ...]:
    note = parse_note(Path("/notes") / name, text, datetime(2024, 1, 2))
    assert note.text == text and note.problems == ()
    chunks = chunk_note(note, lambda part: [match.start() for match in re.finditer(r"\w+|[^\w\s]", part)], Chunking(60))
    for chunk in chunks:
        assert len(chunk.text) == chunk.end - chunk.start
        assert chunk.text.count("\n") == text.count("\n", chunk.start, chunk.end)
    return chunks


def seen(text: str, name: str = "a.md") -> str:
    """What is embedded and found of a note, white space collapsed."""
    return " ".join(" ".join(chunk.text for chunk in chunks_of(text, name)).split())


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.org", "a.rst"])
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Before ![](data:image/png;base64,{}) after.", "Before after."),
        ("Before ![an oil lamp](data:image/png;base64,{}) after.", "Before ![an oil lamp]( ) after."),
        ("Before\n\n![][one]\n\n[one]: <data:image/png;base64,{}>\n\nafter.", "Before ![][one] after."),
        ('Before <img alt="lamp" src="data:image/jpeg;base64,{}"> after.', 'Before <img alt="lamp" src=" "> after.'),
        ("a { background: url(data:font/woff2;charset=utf-8;base64,{}) } b", "a { background: url( ) } b"),
        ("//# sourceMappingURL=data:application/json;base64,{}\nafter", "//# sourceMappingURL= after"),
        ("ssh-rsa {} ada@example.org", "ssh-rsa ada@example.org"),
        ("Before\n{}\nafter", "Before after"),
    ],
)
def test_codes_are_left_out(text: str, left: str, name: str) -> None:
    assert seen(text.replace("{}", CODE), name) == left
    assert len(chunks_of(text.replace("{}", CODE), name)) <= 3


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("kind", ["PGP MESSAGE", "OPENSSH PRIVATE KEY", "CERTIFICATE"])
def test_keys_and_certificates(kind: str, newline: str) -> None:
    text = f"Mine:\n\n-----BEGIN {kind}-----\n\n{PEM}\n-----END {kind}-----\n\nafter".replace("\n", newline)
    assert seen(text) == f"Mine: -----BEGIN {kind}----- -----END {kind}----- after"


def test_a_signed_message_is_text() -> None:
    signature = f"-----BEGIN PGP SIGNATURE-----\n\n{PEM}\n=ab1d\n-----END PGP SIGNATURE-----"
    text = f"-----BEGIN PGP SIGNED MESSAGE-----\n\nI owe Ada ten pounds.\n{signature}"
    assert "I owe Ada ten pounds." in seen(text) and PEM[:60] not in seen(text)


def test_images_that_are_not_encoded() -> None:
    shape = "<path d='M0 0" + " L10 20.5" * 40 + "'/>"
    assert seen(f'A <img src="data:image/svg+xml;utf8,<svg>{shape}</svg>"> b') == 'A <img src=" "> b'
    assert seen(f"A ![x](data:image/svg+xml,%3Csvg{'%3Cg%3E' * 30}) b") == "A ![x]( ) b"
    assert seen(f"<svg>{shape}<text>Words</text></svg>") == "<svg><path d=' '/><text>Words</text></svg>"


COMPRESSED = "\n\n".join(
    re.findall(".{1,256}", base64.b64encode(zlib.compress(random.Random(2).randbytes(3000))).decode())
)


@pytest.mark.parametrize(
    "drawing",
    [
        f"%%\n## Drawing\n```compressed-json\n{COMPRESSED}\n```\n%%",
        f"# Drawing\n```compressed-json\n{COMPRESSED}\n```\n%%",
        '%%\n# Drawing\n```json\n{"type":"excalidraw","version":2,"elements":[{"id":"a1","x":1.5}]}\n```\n%%',
        '## Drawing\n```json\n{\n  "type": "excalidraw",\n  "elements": []\n}\n```\n%%',
    ],
)
def test_of_a_drawing_its_words_stay(drawing: str) -> None:
    text = (
        f"---\nexcalidraw-plugin: parsed\n---\n# Excalidraw Data\n\n## Text Elements\nOil lamps ^a1b2c3d4\n\n{drawing}"
    )
    assert seen(text) == "# Excalidraw Data ## Text Elements Oil lamps ^a1b2c3d4"
    assert [(found.what, text[found.end :]) for found in find_data(text)] == [("a drawing", "")]


def test_a_note_that_is_an_image_has_no_passages() -> None:
    assert chunks_of(f"![](data:image/png;base64,{CODE})") == ()


def test_offsets_lead_to_the_file() -> None:
    text = f"One ![](data:image/png;base64,{CODE})\n\nTwo words"
    last = chunks_of(text)[-1]
    assert text[last.start : last.end].endswith("Two words") and last.end_line == 3


def test_hashtags_and_links_in_data_are_none() -> None:
    text = "a ![](data:image/svg+xml,<svg%20fill='x'> #no [[no]]) #yes".replace(
        "<svg%20fill='x'> #no [[no]]", "%3Csvg" * 20
    )
    note = parse_note(
        Path("/a.md"), f'{text}\n\n<img src="data:image/svg+xml;utf8,<g> #no [[no]]">', datetime(2024, 1, 2)
    )
    assert (note.tags, note.links) == (("yes",), ())


@pytest.mark.parametrize(
    "text",
    [
        "Commit 0123456789abcdef0123456789abcdef01234567 broke it.",
        "sha512 " + "0123456789abcdef" * 8 + " disk.iso",
        "\n".join(random.Random(3).randbytes(64).hex() for _ in range(9)),
        "https://example.org/" + CODE[:400].replace("+", "-") + "?token=" + CODE[400:900],
        "https://example.org/?q=" + CODE[:400],
        "/srv/" + "Projects/ada-lovelace/Engine_Notes/2021-03-04/" * 12,
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 8,
        "Pneumonoultramicroscopicsilicovolcanoconiosis" * 9,
        "3." + "14159265358979323846" * 30,
        "GATTACA" * 60,
        "=" * 400 + "\n" + "-" * 400 + "\n" + "_" * 400,
        "ThisIsOneOfThoseCamelCaseNames" * 12,
        "kebab-case-words-and-more-of-them-" * 12,
        "The scheme data: and data:text/plain,hello are in RFC 2397; so is data:,A%20brief%20note.",
        '```json\n{"type": "excalidraw is a word", "a": 1}\n```',
        '## Drawing\n\n```json\n{"pencil": "2B"}\n```',
        "```mermaid\ngraph TD; A-->B; B-->C;\n```",
        'the <img src="data:image/svg+xml, and a quotation mark that is missing\nMore words',
    ],
)
def test_text_stays(text: str) -> None:
    assert find_data(text) == []


WORDS = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(["data:", "base64,", "```", "%%"])
)


@given(WORDS, st.sampled_from([" ", "\n"]))
def test_prose_never_goes_missing(words: list[str], separator: str) -> None:
    assert find_data(separator.join(words)) == []


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=80))
def test_what_stands_around_data_stays(prose: str) -> None:
    text = f"{prose}\n\n![](data:image/png;base64,{CODE[:600]})\n\n{prose}"
    spans = [text[found.start : found.end] for found in find_data(text)]
    assert spans == [f"![](data:image/png;base64,{CODE[:600]})"]


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "data:",
            "![](data:image/png;base64,A",
            "aB1" * 20 + "\n>",
            "A" * 9,
            "=\n",
            "-----END",
            "\n> > ",
            "[a]:",
            "[a",
        ),
        *("```compressed-json\n", "%%\n# Drawing\n", '"data:image/svg+xml,', "(data:image/svg+xml,", ' d="1 '),
        "data:a/a;a=a;",
    ],
)
def test_hostile_notes_take_linear_time(piece: str) -> None:
    started = time.process_time()
    find_data(piece * (10**6 // len(piece)))
    assert time.process_time() - started < 5
