"""docker/ and docs/deploy.md name commands, files and columns that exist."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
import tomllib
import venv
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from sqlalchemy import text

from cli.commands import cli
from cli.exit_codes import EXIT_USAGE
from worker.hospital.destinations import read_destinations
from worker.pulse import FOLDER, Pulse
from worker.queue.celery_app import KEY_PREFIX
from worker.settings import Settings
from worker.store.session import Database, open_database

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
HOSPITAL = yaml.safe_load((ROOT / "docker" / "compose.hospital.yaml").read_text())
GPU = yaml.safe_load((ROOT / "docker" / "compose.gpu.yaml").read_text())
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
UNITS = sorted((ROOT / "docs" / "systemd").glob("*.service"))
MANIFESTS = [yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", DEPLOY, re.DOTALL)]


def parse(arguments: list[str]) -> None:
    """Raises where the command line does not know its command or options."""
    context = click.Context(cli)
    command = cli.get_command(context, arguments[0])
    assert command is not None, arguments
    command.make_context(arguments[0], arguments[1:], parent=context)


def own_services() -> dict[str, dict[str, Any]]:
    services = COMPOSE["services"].items()
    return {name: each for name, each in services if each["image"].startswith("hc-batch")}


def stages() -> dict[str, str]:
    """The Dockerfile's stages by name."""
    found = [stage.partition("\n") for stage in DOCKERFILE.split("\nFROM ")[1:]]
    return {heading.split()[-1]: instructions for heading, _, instructions in found}


def copied(instructions: str) -> list[str]:
    """What a stage takes from this repository."""
    lines = re.findall(r"^COPY ((?!--from).*) \S+$", instructions, re.MULTILINE)
    return [name for line in lines for name in line.split()]


def health_check() -> Any:
    (check,) = re.findall(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return json.loads(check)


def is_healthy(data_dir: Path) -> bool:
    environment = os.environ | {"HC_DATA_DIR": str(data_dir)}
    return subprocess.run(health_check(), env=environment, check=False).returncode == 0


def test_the_images_command_exists() -> None:
    (command,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    parse(json.loads(command))


def test_the_image_holds_what_the_package_needs_and_runs_as_nobody_special() -> None:
    names = copied(DOCKERFILE)
    assert {"cli", "hcmodel", "worker", "migrations", "pyproject.toml", "LICENSE"} <= set(names)
    assert all((ROOT / name).exists() for name in names)
    assert list(stages()) == ["base", "requirements", "wheel", "gpu", "cpu"]
    assert all("\nUSER 10001\n" in stages()[target] for target in ("gpu", "cpu"))


def test_no_change_of_code_or_readme_installs_the_requirements_again() -> None:
    for target in ("gpu", "cpu"):
        before, _, _ = stages()[target].partition("COPY --from=wheel")
        assert "pip install -c constraints.txt" in before
        assert all("constraints" in name for name in copied(before))


def test_the_builder_is_sent_what_it_copies_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert lines[lines.index("*") + 1 :] == [*(f"!{name}" for name in sent), "**/__pycache__"]
    assert sorted(sent) == sorted(set(copied(DOCKERFILE)))


def test_the_gpus_libraries_are_pinned() -> None:
    pinned = (ROOT / "docker" / "constraints-gpu.txt").read_text().splitlines()
    assert all(re.fullmatch(r"nvidia-[a-z0-9-]+==[0-9.]+", line) for line in pinned)
    wanted = [each for each in requires("tensorflow") or [] if 'extra == "and-cuda"' in each]
    assert {re.match(r"[\w-]+", each)[0] for each in wanted} == {  # type: ignore[index]
        line.partition("==")[0] for line in pinned
    }


def test_the_health_check_holds_until_the_pulse_runs_out(tmp_path: Path) -> None:
    assert not is_healthy(tmp_path)
    Pulse(tmp_path, "worker", interval_s=10).beat()
    assert is_healthy(tmp_path)
    os.utime(tmp_path / FOLDER / "worker", (0, 0))
    assert not is_healthy(tmp_path)


@pytest.mark.parametrize("command", [["worker"], ["watch", "."]], ids=lambda each: each[0])
def test_worker_and_watcher_are_healthy_while_redis_is_away(
    command: list[str], tmp_path: Path
) -> None:
    environment = os.environ | {
        "HC_DATA_DIR": str(tmp_path / "data"),
        "HC_BROKER_URL": "redis://127.0.0.1:1/0",
    }
    hc_batch = Path(sys.executable).with_name("hc-batch")
    with subprocess.Popen([hc_batch, *command], env=environment, cwd=tmp_path) as process:
        deadline_s = time.monotonic() + 60
        while not is_healthy(tmp_path / "data") and time.monotonic() < deadline_s:
            time.sleep(0.2)
        assert is_healthy(tmp_path / "data")
        assert process.poll() is None
        process.terminate()


def test_the_services_commands_exist() -> None:
    assert set(own_services()) == {"upgrade", "worker", "watch"}
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


def test_one_image_is_built_once_and_the_tables_come_first() -> None:
    assert {each["image"] for each in own_services().values()} == {"hc-batch:cpu"}
    assert [name for name, each in own_services().items() if "build" in each] == ["upgrade"]
    assert own_services()["upgrade"]["command"] == ["db", "upgrade"]
    for name in ("worker", "watch"):
        upgraded = own_services()[name]["depends_on"]["upgrade"]["condition"]
        assert upgraded == "service_completed_successfully"


def test_services_write_nowhere_but_where_they_must() -> None:
    for service in own_services().values():
        assert service["read_only"]
        assert service["tmpfs"] == ["/data"]
        assert service["cap_drop"] == ["ALL"]
    assert own_services()["worker"]["volumes"][0].endswith(":ro")
    assert COMPOSE["services"]["redis"]["user"] == "redis"


def test_redis_keeps_and_guards_its_messages() -> None:
    command = " ".join(COMPOSE["services"]["redis"]["command"])
    for option in ("--requirepass", "--appendonly yes", "--maxmemory-policy noeviction"):
        assert option in command


def test_the_gpu_file_changes_services_and_targets_that_exist() -> None:
    assert set(GPU["services"]) <= set(own_services())
    assert f"AS {GPU['services']['worker']['build']['target']}\n" in DOCKERFILE


def test_images_need_no_registry_of_their_own() -> None:
    images = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    images += [each["image"] for each in COMPOSE["services"].values()]
    assert len(images) == 7
    assert all(re.fullmatch(r"([a-z]+/)?[a-z-]+:[\w.-]+", image) for image in images), images


def test_the_hospitals_services_fit_each_other_and_the_first_file() -> None:
    services = HOSPITAL["services"]
    assert set(services) == {"receive", "worker", "orthanc"}
    for name in ("receive", "worker"):
        parse(services[name]["command"])
    first = COMPOSE["services"]["watch"]
    for key in ("read_only", "tmpfs", "cap_drop", "security_opt", "environment", "depends_on"):
        shown = str(services["receive"][key])
        assert shown.replace(":?letters and digits", "") == str(first[key]).replace(
            ":?letters and digits", ""
        )
    archive = json.loads((ROOT / "docker" / "hospital" / "orthanc.json").read_text())
    destinations = tomllib.loads((ROOT / "docker" / "hospital" / "destinations.toml").read_text())
    there = destinations["orthanc"]
    assert (there["port"], there["called"]) == (archive["DicomPort"], archive["DicomAet"])
    assert there["host"] in services
    assert "--to=orthanc" in services["worker"]["command"]
    assert archive["DicomModalities"]["hc-batch"] == ["HCBATCH", "receive", 11112]
    mounted = services["worker"]["volumes"][1].split(":")
    assert services["worker"]["environment"]["HC_DESTINATIONS"] == mounted[1]
    read_destinations(ROOT / "docker" / mounted[0])


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


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml", "compose.hospital.yaml"])
def test_compose_files_fit_their_schema(name: str) -> None:
    validate = Path(sys.executable).with_name("check-jsonschema")
    schema = ["--builtin-schema", "vendor.compose-spec"]
    subprocess.run([validate, *schema, ROOT / "docker" / name], check=True, capture_output=True)


@pytest.mark.timeout(900)
def test_what_the_image_installs_works(tmp_path: Path) -> None:
    """The Dockerfile's very files and commands, in an environment of their own."""
    app = tmp_path / "app"
    (app / "dist").mkdir(parents=True)
    for name in copied(DOCKERFILE):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, app / name)
        else:
            shutil.copy(ROOT / name, app)
    venv.create(tmp_path / "env", with_pip=True)
    # What pip was told about proxies and mirrors holds here too.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    path = f"{tmp_path / 'env' / 'bin'}:/usr/bin:/bin"
    environment = kept | {"PATH": path, "HC_DATA_DIR": str(tmp_path / "data")}
    built = [stages()[name].replace("\\\n", "") for name in ("requirements", "wheel", "cpu")]
    installing = [line for each in built for line in re.findall(r"^RUN (.*)$", each, re.MULTILINE)]
    assert len(installing) == 4
    for command in (*installing, "hc-batch model verify", "hc-batch demo demo"):
        subprocess.run(["bash", "-c", command], cwd=app, env=environment, check=True)


@pytest.mark.parametrize("unit", UNITS, ids=lambda each: each.stem)
def test_the_units_start_commands_that_exist(unit: Path) -> None:
    (arguments,) = re.findall(r"^ExecStart=\S+/hc-batch (.*)$", unit.read_text(), re.MULTILINE)
    parse(arguments.split())
    assert f"hc-batch-{arguments.split()[0]}.service" == unit.name


@pytest.mark.parametrize("unit", UNITS, ids=lambda each: each.stem)
def test_the_units_stay_down_after_a_persons_mistake(unit: Path) -> None:
    assert f"RestartPreventExitStatus={EXIT_USAGE}\n" in unit.read_text()


@pytest.mark.parametrize("unit", UNITS, ids=lambda each: each.stem)
def test_the_units_expose_little(unit: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    security = [analyze, "security", "--offline=true", "--threshold=40", unit]
    judged = subprocess.run(security, capture_output=True, text=True, check=False)
    if "unrecognized option" in judged.stderr:
        pytest.skip("systemd-analyze is older than 250")
    assert judged.returncode == 0, judged.stdout[-300:]


def test_the_manifests_fit_the_image_and_each_other() -> None:
    deployment, scaler = MANIFESTS
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    parse(container["args"])
    assert container["livenessProbe"]["exec"]["command"] == health_check()
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
