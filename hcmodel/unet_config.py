"""The one frozen configuration that decides the network; light enough to read a card with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """All that decides the network's graph; stored in the weights' card.

    ``stem_stride`` 1 is the plain U-Net of the notebook; 2 halves the raster with one strided
    convolution before the first block and doubles it again in the last layer, which costs
    little accuracy and spares the first, most costly convolutions three quarters of their pixels.
    With ``second_look`` the network was trained to see zoomed heads as well, and measures them
    there. With ``outline_look`` its file holds a second, small network that sees the image along
    the head's contour and corrects it (``outline_net``). The names are those of the card's keys.

    Raises ``ValueError`` for what no network can have.
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

    def __post_init__(self) -> None:
        sizes = (self.input_height, self.input_width, self.width, self.depth, self.stem_stride)
        if not all(type(size) is int and size > 0 for size in sizes):
            raise ValueError(
                "sizes, width, depth and stride of a network are whole numbers above 0"
            )
        choices = (self.keep_aspect, self.second_look, self.outline_look)
        if not all(type(choice) is bool for choice in choices):
            raise ValueError("keep_aspect, second_look and outline_look are true or false")
