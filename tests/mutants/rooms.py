"""The rooms that decide: their sources, and the tests that would notice a mistake in them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """Sources below the root without suffix, and tests below ``tests/`` without theirs.

    ``cli/follow:exit_code_for,bar``: only these functions of a source.
    """

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Its sources as files."""
        return tuple(f"{source.partition(':')[0]}.py" for source in self.sources)

    def has(self, path: str, function: str | None) -> bool:
        """Return whether a function, or what stands outside of all, is this room's."""
        for source in self.sources:
            name, _, functions = source.partition(":")
            if f"{name}.py" == path:
                return not functions or function in functions.split(",")
        return False

    @property
    def test_paths(self) -> tuple[str, ...]:
        """Its tests as files."""
        return tuple(f"tests/{test}.py" for test in self.tests)


PACKAGES = ("cli", "hcmodel", "worker")

ROOMS = (
    Room(
        "geometry",
        ("hcmodel/geometry", "hcmodel/spacing"),
        ("unit/test_geometry", "unit/test_ellipse_fit"),
    ),
    Room(
        "preprocess",
        ("hcmodel/preprocess", "hcmodel/shrink"),
        ("unit/test_preprocess", "unit/test_shrink", "unit/test_ellipse_fit"),
    ),
    Room(
        "ellipse fit",
        ("hcmodel/ellipse_fit",),
        ("unit/test_ellipse_fit", "unit/test_any_head"),
    ),
    Room("outline", ("hcmodel/polar",), ("unit/test_polar", "unit/test_any_head")),
    Room(
        "judgement",
        ("hcmodel/quality", "hcmodel/uncertainty", "hcmodel/measurement", "hcmodel/head"),
        ("unit/test_judgement", "unit/test_any_head", "unit/test_plane"),
    ),
    Room("age", ("hcmodel/gestational_age",), ("unit/test_gestational_age",)),
    Room("plane", ("hcmodel/plane", "hcmodel/gate"), ("unit/test_plane", "unit/test_gate")),
    Room(
        "spacing",
        ("worker/reading/spacing", "worker/reading/head_region", "worker/reading/regions"),
        ("unit/reading/test_reading_spacing", "unit/reading/test_reading_gate"),
    ),
    Room(
        "pixels",
        ("worker/reading/grey", "worker/reading/codecs", "worker/reading/frames"),
        (
            "unit/reading/test_codecs",
            "unit/reading/test_grey",
            "unit/reading/test_reading_drawn",
            "unit/reading/test_reading_encodings",
            "unit/reading/test_reading_frames",
        ),
    ),
    Room(
        "structure",
        ("worker/reading/dicom_structure",),
        ("unit/reading/test_dicom_structure", "unit/reading/test_reading_gate"),
    ),
    Room("conclusion", ("worker/measuring/conclusion",), ("unit/test_conclusion",)),
    Room("leased work", ("worker/measuring/leased",), ("unit/test_leased_work",)),
    Room(
        "claims",
        ("worker/store/claims", "worker/store/states"),
        ("unit/test_claims", "unit/test_states"),
    ),
    Room("recovery", ("worker/store/recovery",), ("unit/test_recovery",)),
    Room(
        "progress",
        ("worker/store/progress", "worker/store/rows"),
        ("unit/test_progress", "unit/test_rows"),
    ),
    Room(
        "watching",
        (
            "worker/watching/watched_folder",
            "worker/watching/stability",
            "worker/watching/known_files",
            "worker/watching/move_finished",
        ),
        ("unit/test_watched_files", "unit/test_inbox"),
    ),
    Room(
        "intake",
        ("worker/intake/submit", "worker/intake/discover", "worker/intake/pixel_sizes"),
        ("unit/test_discover", "unit/test_pixel_sizes", "unit/test_taking_in"),
    ),
    Room(
        "exit codes",
        (
            "cli/exit_codes",
            "cli/follow:exit_code_for",
            "cli/commands:run,_run,_tell,_refusal_of_system,_tell_unexpected,_show",
        ),
        ("unit/test_exit_codes",),
    ),
)
"""In the order in which they are run."""
