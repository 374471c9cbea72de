"""What is found wrong or doubtful while a configuration is read, gathered instead of raised."""

import difflib
import re
from collections.abc import Iterable

from defib.config.nodes import Mask, Place, Spot, Trail, format_path, scalars
from defib.errors import ConfigError, Mistake

_LONG = 8
"""Texts from outside of at least this length are masked in every message, shorter ones only near their place:
a variable that holds ``main`` or ``5`` must not garble unrelated messages."""

_SHOWN = 20
"""Names listed in one message."""


class Findings:
    """Mistakes and warnings of one run. Values that came from the environment or a secret file are masked."""

    def __init__(self) -> None:
        self._mistakes: dict[tuple[Place, str], Trail] = {}
        self._warnings: dict[tuple[Place, str], Trail] = {}
        self._files: dict[str, int] = {}
        self._masks: set[Mask] = set()
        self.cause: Exception | None = None  #: of a plugin that crashed, for a traceback

    def note_file(self, file: str) -> None:
        """Mistakes are shown in the order in which files were noted."""
        self._files.setdefault(file, len(self._files))

    def note_masks(self, masks: Iterable[Mask]) -> None:
        """These texts must not be shown anywhere."""
        self._masks.update(mask for mask in masks if len(mask.text) >= _LONG)

    def mistake(self, spot: Spot, message: str) -> None:
        """Something is wrong at ``spot``."""
        self.mistake_at(spot.place, spot.path, _mask_near(spot, message))

    def mistake_at(self, place: Place, path: Trail, message: str) -> None:
        """As :meth:`mistake`, where there is no node. The same message at the same place counts once (aliases)."""
        self._mistakes.setdefault((place, message), path)

    def warning(self, spot: Spot, message: str) -> None:
        """Valid, but probably not what was meant."""
        self._warnings.setdefault((spot.place, _mask_near(spot, message)), spot.path)

    @property
    def has_mistakes(self) -> bool:
        return bool(self._mistakes)

    def warnings(self) -> tuple[str, ...]:
        return tuple(str(warning) for warning in self._in_order(self._warnings))

    def raise_mistakes(self) -> None:
        """Stop here if anything was wrong.

        :raises ConfigError: with all mistakes so far, in the order of the files.
        """
        if self._mistakes:
            raise ConfigError(self._in_order(self._mistakes)) from self.cause

    def _in_order(self, found: dict[tuple[Place, str], Trail]) -> list[Mistake]:
        def order(item: tuple[tuple[Place, str], Trail]) -> tuple[int, int, int]:
            (place, _), _ = item
            return (self._files[place.file], place.line, place.column)

        return [
            Mistake(
                message=self._mask_everywhere(message),
                path=format_path(path),
                file=place.file,
                line=place.line or None,
            )
            for (place, message), path in sorted(found.items(), key=order)
        ]

    def _mask_everywhere(self, message: str) -> str:
        for mask in sorted(self._masks, key=lambda mask: -len(mask.text)):
            for form in _forms(mask.text):
                message = message.replace(form, mask.shown)
        return message


def _mask_near(spot: Spot, message: str) -> str:
    """Mask what came into ``spot`` from outside, however short, where it stands as a word of its own."""
    masks = {mask for scalar in scalars(spot.node) for mask in scalar.masks if mask.text.strip()}
    for mask in sorted(masks, key=lambda mask: -len(mask.text)):
        for form in _forms(mask.text):
            message = re.sub(_as_word(form), mask.shown.replace("\\", r"\\"), message)
    return message


def _forms(text: str) -> Iterable[str]:
    """How a text may appear in a message: as it is, and as ``repr`` writes it."""
    return dict.fromkeys((text, repr(text)[1:-1], text.strip()))


def _as_word(text: str) -> str:
    """A pattern that finds ``text`` where it is not part of a longer word."""
    before = r"(?<!\w)" if text[0].isalnum() else ""
    after = r"(?!\w)" if text[-1].isalnum() else ""
    return f"{before}{re.escape(text)}{after}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` was probably meant to be."""
    folded = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


def remedy(name: str, known: Iterable[str], *, plural: str) -> str:
    """What to write instead of the unknown ``name``: ``did you mean 'url'?``, or what there is."""
    names = sorted(set(known))
    if near := nearest(name, names):
        return f"did you mean {near!r}?"
    if not names:
        return f"there are no {plural}"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"known {plural}: {', '.join(names[:_SHOWN])}{more}"
