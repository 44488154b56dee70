"""Pixels and millimetres in, head circumference out."""

CODE_VERSION = "1"
"""Moves only when the same weights would measure something else."""
