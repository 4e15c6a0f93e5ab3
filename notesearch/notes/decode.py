"""From the bytes of a file to text."""

from __future__ import annotations

import codecs

from notesearch.errors import NoteUnreadable

_SNIFFED_BYTES = 8192
_DETECTION_BYTES = 65_536
# Fewer bytes than this tell nothing about an encoding: `Café` may be anything.
_TELLING_BYTES = 16
# What people have in old notes, the likeliest first. Left to itself, detection finds rare encodings in short texts,
# UTF-16 among them.
_CANDIDATES = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
]
# UTF-32 before UTF-16: the little-endian mark of the one begins with that of the other.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes) -> tuple[str, str]:
    """Decode a note.

    Args:
        data: The whole file.

    Returns:
        The text without a byte order mark, and what had to be guessed or replaced (empty where nothing was).

    Raises:
        NoteUnreadable: The file is binary.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode_as(data[len(mark) :], encoding)
    if b"\0" in data[:_SNIFFED_BYTES]:
        raise NoteUnreadable("binary file")
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        return _decode_unknown(data)


def _decode_as(data: bytes, encoding: str) -> tuple[str, str]:
    try:
        return data.decode(encoding), ""
    except UnicodeDecodeError:
        return data.decode(encoding, "replace"), f"not valid {encoding.upper()} throughout: some characters are lost"


def _decode_unknown(data: bytes) -> tuple[str, str]:
    text = data.decode("utf-8", "replace")
    lost = text.count("\ufffd")
    # Text in another encoding hardly ever forms valid multi-byte sequences: where most are valid, it is damaged UTF-8.
    if sum(not char.isascii() for char in text) > 2 * lost:
        return text, f"not valid UTF-8 throughout: {lost} characters are lost"
    encoding = _guess_encoding(data)
    text = data.decode(encoding, "replace").encode("utf-8", "replace").decode("utf-8")
    return text, f"not UTF-8: read as {encoding}, which is a guess"


def _guess_encoding(data: bytes) -> str:
    if sum(byte >= 0x80 for byte in data[:_DETECTION_BYTES]) < _TELLING_BYTES:
        return "cp1252"
    from charset_normalizer import from_bytes

    matches = list(from_bytes(data[:_DETECTION_BYTES], cp_isolation=_CANDIDATES))
    if not matches:
        return "cp1252"
    best = matches[0]
    equals = {
        name
        for match in matches
        if (match.chaos, match.coherence) == (best.chaos, best.coherence)
        for name in match.could_be_from_charset
    }
    return next((name for name in _CANDIDATES if name in equals), best.encoding)
