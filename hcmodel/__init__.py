"""Pixels and millimetres in, head circumference out."""

CODE_VERSION = "2"
"""Moves only when the same weights would measure something else."""
