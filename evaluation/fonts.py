"""Find installed fonts for texts of any script, so that figures show letters and no boxes."""

import functools
import re
import unicodedata
from pathlib import Path

from matplotlib import font_manager, ft2font

DEFAULT_FONT = "DejaVu Sans"  # comes with matplotlib
MONOSPACE_FONT = "DejaVu Sans Mono"
SUBSTITUTE = "?"  # for a character that no font has
MAX_NAMED_CHARACTERS = 5  # in the note about missing ones
MAX_NAME_WIDTH = 40  # of the name of a column or a class in a figure, as `width` counts
# One character of each script that DEFAULT_FONT lacks:
# Chinese, Japanese, Korean, Thai, Hindi, Bengali, Tamil.
SCRIPT_SAMPLES = "\u6c34\u3042\uac00\u0e01\u0905\u0985\u0b85"
# Beginnings of names of font files that are searched first: readable, with many characters.
PREFERRED_FONTS = (
    *("NotoSansCJK", "NotoSansSC", "SourceHanSans", "wqy", "DroidSansFallback", "PingFang"),
    *("msyh", "simhei", "HiraginoSans", "YuGoth", "malgun", "Noto"),
)


class Fonts:
    """Installed fonts that together draw any text.

    Attributes:
        names: of the fonts, in the order in which Matplotlib searches them.
        missing: characters that no font has, of all texts so far.

    """

    def __init__(self, paths: list[Path]) -> None:
        self.names, self.missing = [DEFAULT_FONT], set[str]()
        self._characters = [_characters(Path(font_manager.findfont(DEFAULT_FONT)))]
        for sample in SCRIPT_SAMPLES:
            if not self._has(sample):
                path = next((path for path in paths if ord(sample) in _characters(path)), None)
                if path is not None:
                    self._add(path)

    def _add(self, path: Path) -> None:
        # Matplotlib lists fonts once; this one may have been installed later.
        font_manager.fontManager.addfont(path)
        self.names.append(font_manager.FontProperties(fname=path).get_name())
        self._characters.append(_characters(path))

    def _has(self, character: str) -> bool:
        return any(ord(character) in characters for characters in self._characters)

    def drawable(self, text: str) -> str:
        """Return the text in one line, with SUBSTITUTE for each character that no font has."""
        line = re.sub(r"\s+", " ", text)
        missing = {character for character in set(line) if not self._has(character)}
        self.missing |= missing
        return "".join(SUBSTITUTE if character in missing else character for character in line)

    def short(self, name: str, max_width: int = MAX_NAME_WIDTH) -> str:
        """Return a name as `drawable` does, without the middle of a long one.

        The end of a name often distinguishes it from others, such as a unit or a number.
        """
        start = end = self.drawable(name)
        if width(start) <= max_width:
            return start
        while width(start) > max_width // 2:
            start = start[:-1]
        while width(start) + 1 + width(end) > max_width:
            end = end[1:]
        return f"{start.rstrip()}\u2026{end.lstrip()}"

    def note(self) -> str:
        """Return which characters are missing and what to install; empty if none is missing."""
        if not self.missing:
            return ""
        some = " ".join(sorted(self.missing)[:MAX_NAMED_CHARACTERS])
        return (
            f"No installed font has {len(self.missing):,} characters of these figures ({some}); "
            f"they are drawn as {SUBSTITUTE}. Install a font that has them, such as "
            "fonts-noto-cjk, and evaluate again."
        )


@functools.cache
def fonts() -> Fonts:
    """Return the fonts of this machine."""
    paths = [Path(name) for name in font_manager.findSystemFonts()]
    return Fonts(sorted(paths, key=_rank))


def _rank(path: Path) -> tuple[int, str]:
    ranks = (k for k, name in enumerate(PREFERRED_FONTS) if path.name.startswith(name))
    # Without the word, the regular weight comes before the other weights of a family.
    return next(ranks, len(PREFERRED_FONTS)), path.name.replace("Regular", "")


@functools.lru_cache(maxsize=512)
def _characters(path: Path) -> frozenset[int]:
    try:
        return frozenset(ft2font.FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()  # a format that matplotlib does not read


def width(text: str) -> int:
    """Return the columns of a text in a monospaced font: two for each wide character."""
    return sum(
        1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
        if not unicodedata.combining(character)
    )
