"""Every reason to look at a measured HC: the one list of flags, each with its meaning.

Words are part of the product's contract: they are stored, counted and documented.
"""

from __future__ import annotations

from enum import StrEnum


class Flag(StrEnum):
    """A doubt about a measurement; a row with any of them is ``flagged``.

    ``meaning``: what was seen, in one line, as docs/codes.md has it.
    """

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Flag:
        """Return the member whose value is ``word``."""
        flag = str.__new__(cls, word)
        flag._value_ = word
        flag.meaning = meaning
        return flag

    CUT_BY_BORDER = (
        "cut-by-border",
        "more than 20 % of the outline lie beyond the picture or the sector in it; the ellipse is "
        "completed from the rest",
    )
    FRAGMENTED_MASK = "fragmented-mask", "the segmentation has several pieces"
    IMPLAUSIBLE_HC = "implausible-hc", "HC outside 40 to 400 mm"
    IMPLAUSIBLE_SHAPE = (
        "implausible-shape",
        "an ellipse flatter than any fetal head: b/a below 0.60",
    )
    LOOKS_DIFFER = (
        "looks-differ",
        "two looks in a row give circumferences that differ by more than 4.5 %: the whole image, "
        "the head from near, its outline",
    )
    LOW_CONFIDENCE = (
        "low-confidence",
        "that HC is within 3 mm, or 2 % where this is more, is less probable than for 97 in 100 "
        "heads on which the network was calibrated",
    )
    WEAK_FIT = "weak-fit", "the segmentation is no clear ellipse in the whole image or from near"
    NOT_HC_PLANE = (
        "not-hc-plane",
        "the head seems to lie in another plane than those for HC: trans-cerebellar or oblique",
    )
    PLANE_UNSURE = (
        "plane-unsure",
        "what is outlined may be no head, or in no plane for HC; or the network has no gate that "
        "could tell",
    )
    GREY_INVERTED = (
        "grey-inverted",
        "light where ultrasound is dark, and no tag says so; HC comes out 2 to 6 % wrong",
    )
    GREY_LEVELS = (
        "grey-levels",
        "fewer than 16 levels of grey around the head, or a tenth of it white",
    )
    SEVERAL_HEADS = "several-heads", "another pane of the same image shows a head elsewhere"
    SPACING_IMPLAUSIBLE = "spacing-implausible", "a pixel outside 0.025 to 0.60 mm"
    REGION_HEIGHT_IMPLAUSIBLE = (
        "region-height-implausible",
        "an imaged depth outside 20 to 400 mm",
    )
    PIXEL_ASPECT_DIFFERS = (
        "pixel-aspect-differs",
        "PixelAspectRatio contradicts the two pixel sizes by more than 2 %",
    )
    WINDOW_UNUSABLE = (
        "window-unusable",
        "the file's own window leaves hardly any grey levels, so it was not applied",
    )


def meaning_of(flag: str) -> str:
    """Return what a stored flag says; an older version's flag may have gone, and says nothing."""
    return next((known.meaning for known in Flag if known == flag), "")
