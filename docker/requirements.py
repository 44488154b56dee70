"""Prints what pyproject.toml requires, with the extras named: a line for each, as pip reads them.

So that the image's large layer depends on the requirements alone, not on code or README.
``--measuring`` leaves out what only trains, or measures on a GPU.
"""

import re
import sys
import tomllib
from pathlib import Path

TRAINING = {"keras", "tensorflow", "tf2onnx"}

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
left_out = TRAINING if "--measuring" in sys.argv else set()
for extra in sys.argv[1:]:
    if not extra.startswith("--"):
        project["dependencies"] += project["optional-dependencies"][extra]
sys.stdout.writelines(
    f"{each}\n"
    for each in project["dependencies"]
    if re.match(r"[\w.-]+", each)[0].lower() not in left_out
)
