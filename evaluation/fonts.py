"""Finds installed fonts for texts of any script, so that pictures show letters and no boxes."""

import functools
import re
import unicodedata
from pathlib import Path

from matplotlib import font_manager, ft2font

DEFAULT_FONT = "DejaVu Sans"  # comes with matplotlib
MONOSPACE = "DejaVu Sans Mono"
SUBSTITUTE = "?"
MAX_NAME_WIDTH = 40  # columns of the name of a column or a class in a picture, see `width`
# A character of each script that DEFAULT_FONT lacks:
# Chinese, Japanese, Korean, Thai, Hindi, Bengali, Tamil.
PROBES = "\u6c34\u3042\uac00\u0e01\u0905\u0985\u0b85"
# Searched before all others: made for reading, and with most characters.
PREFERRED = (
    *("NotoSansCJK", "NotoSansSC", "SourceHanSans", "wqy", "DroidSansFallback", "PingFang"),
    *("msyh", "simhei", "HiraginoSans", "YuGoth", "malgun", "Noto"),
)


class Fonts:
    """Installed fonts that together draw any text.

    Attributes:
        names: of the fonts, in the order in which Matplotlib searches them.
        lost: characters so far that no font has.

    """

    def __init__(self, paths: list[Path]) -> None:
        self.names, self.lost = [DEFAULT_FONT], set[str]()
        self._maps = [_characters(Path(font_manager.findfont(DEFAULT_FONT)))]
        for probe in PROBES:
            if not self._has(probe):
                self._add(next((path for path in paths if ord(probe) in _characters(path)), None))

    def _add(self, path: Path | None) -> None:
        if path is None:
            return
        font_manager.fontManager.addfont(path)  # installed after matplotlib listed them, perhaps
        self.names.append(font_manager.FontProperties(fname=path).get_name())
        self._maps.append(_characters(path))

    def _has(self, sign: str) -> bool:
        return any(ord(sign) in known for known in self._maps)

    def drawable(self, text: str) -> str:
        """Return the text in one line, with SUBSTITUTE for each character that no font has."""
        signs = re.sub(r"\s+", " ", text)
        lost = {sign for sign in set(signs) if not self._has(sign)}
        self.lost |= lost
        return "".join(SUBSTITUTE if sign in lost else sign for sign in signs)

    def short(self, name: str, most: int = MAX_NAME_WIDTH) -> str:
        """Return a name as `drawable` gives it; the middle of a long one is left out.

        Its end often holds what tells it from others: a unit, a number.
        """
        begin = self.drawable(name)
        if width(begin) <= most:
            return begin
        end = begin
        while width(begin) > most // 2:
            begin = begin[:-1]
        while width(begin) + 1 + width(end) > most:
            end = end[1:]
        return f"{begin.rstrip()}\u2026{end.lstrip()}"

    def note(self) -> str:
        """Tell the user which characters are missing and what to install; empty if none is."""
        if not self.lost:
            return ""
        some = " ".join(sorted(self.lost)[:5])
        return (
            f"No installed font has {len(self.lost):,} characters of these pictures ({some}); "
            f"they are drawn as {SUBSTITUTE}. Install a font that has them, such as "
            "fonts-noto-cjk, and evaluate again."
        )


@functools.cache
def fonts() -> Fonts:
    """Return the fonts of this machine."""
    found = [Path(name) for name in font_manager.findSystemFonts()]
    return Fonts(sorted(found, key=_rank))


def _rank(path: Path) -> tuple[int, str]:
    order = [k for k, name in enumerate(PREFERRED) if path.name.startswith(name)]
    # Of the weights of a family the regular one.
    return (order or [len(PREFERRED)])[0], path.name.replace("Regular", "")


@functools.lru_cache(maxsize=512)
def _characters(path: Path) -> frozenset[int]:
    try:
        return frozenset(ft2font.FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()  # a format that matplotlib does not read


def width(text: str) -> int:
    """Columns of a text in a monospaced font: two for each wide character."""
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in text
    )
