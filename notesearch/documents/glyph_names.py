"""The text that names of glyphs stand for, by Adobe's rules (Adobe Glyph List Specification 1.7)."""

import re

# What a glyph without a text stands for: pypdf would take an empty text for none, and show the name.
_NOTHING = "\u2060"
_UNI = re.compile(r"uni((?:[0-9A-Fa-f]{4})+)")
_U = re.compile(r"u([0-9A-Fa-f]{4,6})")
# Adobe's own codes for small capitals and old style figures are those of their letters and figures and this.
_FIRST_VARIANT = 0xF700
_VARIANTS = re.compile("[\uf720-\uf7ff]")
_MOST = 0x10FFFF


class GlyphNames(dict[str, str]):
    """Texts by names of glyphs that begin with a slash, as pypdf has them; also those that are composed.

    `/f_i` is `fi`, `/one.oldstyle` is `1`, `/uni00410301` is `Á`, and `/g123` is nothing.
    """

    def __init__(self, glyph_list: dict[str, str]) -> None:
        plain = {name: _VARIANTS.sub(_without_variant, text) for name, text in glyph_list.items()}
        super().__init__(plain | {"/.notdef": _NOTHING})

    def __missing__(self, name: str) -> str:
        parts = name.removeprefix("/").partition(".")[0].split("_")
        return "".join(self.get(f"/{part}") or _by_code(part) for part in parts) or _NOTHING


def _by_code(part: str) -> str:
    """The text of a name that is made of codes; empty where it is not, or they are none of characters."""
    if match := _UNI.fullmatch(part):
        codes = [int(match[1][place : place + 4], 16) for place in range(0, len(match[1]), 4)]
    else:
        codes = [int(match[1], 16)] if (match := _U.fullmatch(part)) else []
    return "".join(map(chr, codes)) if all(code <= _MOST and not 0xD800 <= code < 0xE000 for code in codes) else ""


def _without_variant(match: re.Match[str]) -> str:
    return chr(ord(match[0]) - _FIRST_VARIANT)
