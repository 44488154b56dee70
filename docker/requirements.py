"""Prints what pyproject.toml requires, with the extras named: a line for each, as pip reads them.

So that the image's large layer depends on the requirements alone, not on code or README.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
for extra in sys.argv[1:]:
    project["dependencies"] += project["optional-dependencies"][extra]
sys.stdout.writelines(f"{each}\n" for each in project["dependencies"])
