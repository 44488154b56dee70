"""What is opened at most. Ultrasound stays far below; files that were made to harm do not."""

MAX_FILE_BYTES = 4 * 1024**3
MAX_INFLATED_BYTES = 256 * 1024**2
MAX_PIXELS = 4096 * 4096
MAX_SIDE_PX = 16384
MAX_FRAMES = 100_000
MAX_ELEMENTS = 100_000
MAX_DEPTH = 64
