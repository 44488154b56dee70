"""What is opened at most. Ultrasound stays far below; files that were made to harm do not."""

MAX_FILE_BYTES = 4 * 1024**3
"""More than an uncompressed cine loop of a minute; a file is hashed whole."""
MAX_INFLATED_BYTES = 256 * 1024**2
"""A quarter of what a reader process may use: the inflated data is held in memory."""
MAX_PIXELS = 4096 * 4096
"""Several times any scanner's screen; in floats it still fits a reader process."""
MAX_SIDE_PX = 16384
MAX_FRAMES = 100_000
"""An hour at 25 frames a second; each may become a row."""
MAX_ELEMENTS = 100_000
"""An ultrasound header has some hundred."""
MAX_DEPTH = 64
"""Sequences within sequences; parsers that recurse end their stack at some hundred."""
MAX_REPORT_BYTES = 16 * 1024**2
"""Structured reports of exams have tens of kilobytes."""
MAX_REPORT_ITEMS = 20_000
"""Content items of a report; one with everything in it has some thousand."""
