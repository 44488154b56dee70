"""The one frozen configuration that decides the network; light enough to read a card with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """All that decides the network's graph; stored in the weights' card.

    ``stem_stride`` 1 is the plain U-Net of the notebook; 2 halves the raster with one strided
    convolution before the first block and doubles it again in the last layer, which costs
    little accuracy and spares the first, most costly convolutions three quarters of their pixels.
    With ``second_look`` the network was trained to see heads from near as well, and measures them
    there. With ``outline_look`` its file holds a second, small network that looks along the head's
    outline and corrects it (``outline_net``).
    """

    input_height: int = 256
    input_width: int = 256
    width: int = 16
    depth: int = 4
    dropout: float = 0.0
    stem_stride: int = 1
    keep_aspect: bool = False
    second_look: bool = False
    outline_look: bool = False
