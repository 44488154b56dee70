"""docker/ and docs/deploy.md name commands, files and columns that exist."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from sqlalchemy import text

from cli.commands import cli
from worker.queue.celery_app import KEY_PREFIX
from worker.settings import Settings
from worker.store.session import Database, open_database

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
GPU = yaml.safe_load((ROOT / "docker" / "compose.gpu.yaml").read_text())
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
MANIFESTS = [yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", DEPLOY, re.DOTALL)]


def parse(arguments: list[str]) -> None:
    """Raises where the command line does not know its command or options."""
    context = click.Context(cli)
    command = cli.get_command(context, arguments[0])
    assert command is not None, arguments
    command.make_context(arguments[0], arguments[1:], parent=context)


def own_services() -> dict[str, dict[str, Any]]:
    return {name: each for name, each in COMPOSE["services"].items() if "build" in each}


def test_the_images_commands_exist() -> None:
    commands = [json.loads(each) for each in re.findall(r"CMD (\[.*\])", DOCKERFILE)]
    assert len(commands) == 2
    for command in commands:
        parse(command[1:] if command[0] == "hc-batch" else command)


def test_the_image_holds_what_the_package_needs_and_runs_as_nobody_special() -> None:
    copied = re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert {"cli", "hcmodel", "worker", "migrations", "pyproject.toml", "LICENSE"} <= set(names)
    assert all((ROOT / name).exists() for name in names)
    stages = DOCKERFILE.split("FROM ")[1:]
    assert [stage.splitlines()[0].split()[-1] for stage in stages] == ["base", "gpu", "cpu"]
    assert all("\nUSER 10001\n" in stage for stage in stages[1:])


def test_the_services_commands_exist() -> None:
    assert set(own_services()) == {"worker", "watch"}
    assert COMPOSE["services"]["flower"]["profiles"] == ["monitor"]
    for service in own_services().values():
        parse(service["command"])


def test_the_services_settings_are_accepted() -> None:
    for service in own_services().values():
        environment = {
            name: re.sub(r"\$\{HC_PASSWORD[^}]*\}", "secret", value)
            for name, value in service["environment"].items()
        }
        settings = Settings.from_environment(environment)
        assert settings.database_url == "postgresql+psycopg://hc:secret@postgres/hc"
        assert settings.broker_url == "redis://:secret@redis:6379/0"


def test_redis_keeps_and_guards_its_messages() -> None:
    command = " ".join(COMPOSE["services"]["redis"]["command"])
    for option in ("--requirepass", "--appendonly yes", "--maxmemory-policy noeviction"):
        assert option in command


def test_the_gpu_file_changes_services_and_targets_that_exist() -> None:
    assert set(GPU["services"]) <= set(own_services())
    assert f"AS {GPU['services']['worker']['build']['target']}\n" in DOCKERFILE


def test_images_need_no_registry_of_their_own() -> None:
    images = re.findall(r"^FROM (\S+) AS", DOCKERFILE, re.MULTILINE)
    images += [each["image"] for each in COMPOSE["services"].values() if "image" in each]
    assert len(images) == 6
    assert all(re.fullmatch(r"([a-z]+/)?[a-z]+(:[\w.-]+)?", image) for image in images), images


def test_flower_gets_the_keys_prefix() -> None:
    flower = COMPOSE["services"]["flower"]
    source, target, _ = flower["volumes"][0].split(":")
    configuration = runpy.run_path(str(ROOT / "docker" / source))
    assert configuration["broker_transport_options"] == {"global_keyprefix": KEY_PREFIX}
    assert Path(target).parent == Path(flower["environment"]["PYTHONPATH"])
    assert Path(target).stem == flower["environment"]["CELERY_CONFIG_MODULE"]


def test_the_dockerfile_follows_the_rules() -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    if hadolint is None:
        pytest.skip("hadolint has no wheel for this machine")
    found = subprocess.run(
        [hadolint, ROOT / "docker" / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_compose_files_fit_their_schema(name: str) -> None:
    validate = Path(sys.executable).with_name("check-jsonschema")
    schema = ["--builtin-schema", "vendor.compose-spec"]
    subprocess.run([validate, *schema, ROOT / "docker" / name], check=True, capture_output=True)


@pytest.mark.timeout(900)
def test_what_the_image_installs_works(tmp_path: Path) -> None:
    """The Dockerfile's very files and commands, in an environment of their own."""
    app = tmp_path / "app"
    app.mkdir()
    for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, app / target)
            else:
                shutil.copy(ROOT / source, app / target)
    venv.create(tmp_path / "env", with_pip=True)
    # What pip was told about proxies and mirrors holds here too.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    path = f"{tmp_path / 'env' / 'bin'}:/usr/bin:/bin"
    environment = kept | {"PATH": path, "HC_DATA_DIR": str(tmp_path / "data")}
    cpu_stage = DOCKERFILE.split("FROM ")[-1]
    (install,) = re.findall(r"^RUN (.*)$", cpu_stage, re.MULTILINE)
    (healthy,) = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    for command in (install, "hc-batch model verify", "hc-batch demo demo"):
        subprocess.run(["bash", "-c", command], cwd=app, env=environment, check=True)
    subprocess.run(json.loads(healthy), cwd=app, env=environment, check=True)


def test_the_unit_starts_a_command_that_exists() -> None:
    (arguments,) = re.findall(r"^ExecStart=\S+/hc-batch (.*)$", DEPLOY, re.MULTILINE)
    parse(arguments.split())


def test_the_manifests_fit_the_image_and_each_other() -> None:
    deployment, scaler = MANIFESTS
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    parse(container["args"])
    assert f"--uid {pod['securityContext']['runAsUser']} " in DOCKERFILE
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


@pytest.fixture
def ledger(postgresql_url: str, tmp_path: Path) -> Any:
    environment = {"HC_DATABASE_URL": postgresql_url, "HC_DATA_DIR": str(tmp_path)}
    with open_database(Settings.from_environment(environment)) as database:
        yield database


def test_the_scalers_query_runs(ledger: Database) -> None:
    (trigger,) = MANIFESTS[1]["spec"]["triggers"]
    with ledger.reading() as connection:
        assert connection.scalar(text(trigger["metadata"]["query"])) == 0
