"""Names drawn at random from what breaks terminals, logs and tables."""

from __future__ import annotations

import random

PIECES = [
    *("\x1b[2J", "\x1b]0;x\x07", "\x9b31m", "\x7f", "\x08", "\x0b", "\n", "\r", "\r\n", "\t"),
    *("\u202e", "\u2028", "\u2066", "\x85", "\u200b", "\ufeff", "\U000e0041"),
    *("[", "]", "[bold]", "[left]", ":smile:", "=1+1", "+1", "-1", "@a", "\uff1d1"),
    *('"', "'", ",", ";", "%s", "{x}", "\\", "$(id)", "`", "|", " ", "a", "\u00e4", "\u732b"),
]


def names(seed: int, count: int) -> list[str]:
    """Names without a suffix, one to five pieces each."""
    drawn = random.Random(seed)
    return ["".join(drawn.choices(PIECES, k=drawn.randint(1, 5))) for _ in range(count)]
