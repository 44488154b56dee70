from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from worker.addresses import redacted
from worker.errors import BrokerUnreachable, SettingInvalid, SettingMissing
from worker.exam import Pseudonyms
from worker.queue.redis_client import connect, translated
from worker.settings import Settings


def test_with_nothing_set_everything_is_in_the_data_directory() -> None:
    settings = Settings.from_environment({})
    assert settings.database_url == f"sqlite:///{settings.data_dir}/hc-batch.sqlite3"
    assert settings.broker_url is None


def test_empty_variables_count_as_absent(tmp_path: Path) -> None:
    env = {"HC_DATA_DIR": str(tmp_path), "HC_BROKER_URL": "", "HC_LEASE_S": " "}
    assert Settings.from_environment(env) == Settings.from_environment(
        {"HC_DATA_DIR": env["HC_DATA_DIR"]}
    )


def test_a_silent_workers_scans_go_on_within_a_minute() -> None:
    settings = Settings.from_environment({})
    assert settings.lease_s + settings.reconcile_s < 60


def test_addresses_of_postgresql_get_the_driver_we_ship() -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        settings = Settings.from_environment({"HC_DATABASE_URL": f"{scheme}://u:p@h/db"})
        assert settings.database_url == "postgresql+psycopg://u:p@h/db"
        assert settings.database_name == "postgresql+psycopg://u:***@h/db"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("HC_DATABASE_URL", "mysql://h/db", "postgresql://"),
        ("HC_DATABASE_URL", "sqlite://", "a file"),
        ("HC_BROKER_URL", "amqp://h", "redis://"),
        ("HC_BROKER_URL", "redis://", "redis://"),
        ("HC_BROKER_URL", "redis://h:port/0", "redis://"),
        ("HC_BROKER_URL", "redis://h/abc", "the number of a database"),
        ("HC_BROKER_URL", "redis://h:70000/0", "digits up to 65535"),
        ("HC_BROKER_URL", "redis+socket://", "a socket"),
        ("HC_DATABASE_URL", "postgresql://h:54x2/db", "digits up to 65535"),
        ("HC_DATABASE_URL", "sqlite:////srv/a?b.sqlite3", "a path without ?"),
        ("HC_DATA_DIR", "/srv/a?b", "a path without ?"),
        ("HC_DATA_DIR", "~nobody-of-this-name/x", "the home of a user"),
        ("HC_WEIGHTS", "/nowhere/w.keras", "an existing file"),
        ("HC_DATA_DIR", __file__, "a folder"),
        ("HC_DATA_ROOTS", "/nowhere/at-all", "existing folders"),
        ("HC_GA_FORMULA", "hadlock", "hadlock-1984"),
        ("HC_CHUNK_SIZE", "0", "from 1 to 1000"),
        ("HC_CHUNK_SIZE", "3.5", "a whole number"),
        ("HC_LEASE_S", "nan", "seconds from 1"),
        ("HC_RECONCILE_S", "-1", "seconds from 0.1"),
        ("HC_LOG_LEVEL", "LOUD", "DEBUG"),
        ("HC_FAILPOINT", "nowhere:kill9", "after-claim"),
        ("HC_FAILPOINT", "after-claim:laugh", "POINT:kill9"),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingInvalid) as error:
        Settings.from_environment({name: value})
    assert name in str(error.value)
    assert repr(value) in str(error.value)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pass:w@rd/x@host:6379/0", "redis://:***@host:6379/0"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("postgresql://u:p%40@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("redis://h/0?password=secret&db=1", "redis://h/0?password=***&db=1"),
        ("sqlite:////var/lib/a.sqlite3", "sqlite:////var/lib/a.sqlite3"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HC_DATABASE_URL", "postgresql://hc:my@secret@db.example/hc"),
        ("HC_DATABASE_URL", "postgresql://hc:se?c@ret@db.example/hc"),
        ("HC_BROKER_URL", "redis://:my@secret@redis.example:6379/0"),
        ("HC_BROKER_URL", "redis://:sec/ret@redis.example:6379/0"),
        ("HC_BROKER_URL", "redis://:secret"),
    ],
)
def test_a_password_that_must_be_quoted_is_refused_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingInvalid) as error:
        Settings.from_environment({name: value})
    assert not re.search("my|sec|ret", str(error.value).partition("expected")[0])


def test_a_key_is_long_and_not_shown() -> None:
    with pytest.raises(SettingInvalid, match="HC_PSEUDONYM_KEY=its value, expected 16") as error:
        Settings.from_environment({"HC_PSEUDONYM_KEY": "fifteen letters"})
    assert "fifteen" not in str(error.value)
    settings = Settings.from_environment({"HC_PSEUDONYM_KEY": "sixteen letters."})
    assert settings.pseudonyms == Pseudonyms("sixteen letters.")
    assert "sixteen" not in repr(settings)
    plain = Settings.from_environment({"HC_ACCESSION_NUMBERS": "plain"})
    assert plain.pseudonyms == Pseudonyms(is_plain=True)


def test_an_at_sign_is_told_how_to_be_written() -> None:
    with pytest.raises(SettingInvalid, match="%40"):
        Settings.from_environment({"HC_DATABASE_URL": "postgresql://u:a@b@h/db"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HC_DATABSE_URL", "HC_DATABASE_URL"),
        ("HC_DATA_ROOT", "HC_DATA_ROOTS"),
        ("hc_data_dir", "HC_DATA_DIR"),
        ("HC_LOGLEVEL", "HC_LOG_LEVEL"),
    ],
)
def test_a_misspelt_setting_is_told(name: str, meant: str) -> None:
    with pytest.raises(SettingInvalid, match=f"{name} is no setting; {meant} is one"):
        Settings.from_environment({name: "x"})


def slip(name: str, rng: random.Random) -> str:
    """The name as a person in a hurry may have it."""
    at = rng.randrange(4, len(name) - 1)
    slips = (
        name[:at] + name[at + 1 :],
        name[:at] + rng.choice("AEX_") + name[at:],
        name[:at] + rng.choice("AEX") + name[at + 1 :],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
        name.lower(),
        name.replace("_", "").replace("HC", "HC_", 1),
        name + rng.choice(["S", "_", "_NAME", "_PATH"]),
        name.rpartition("_")[0] if name.count("_") > 2 else f"{name}S",
        name.replace("URL", "URI"),
    )
    return rng.choice([each for each in slips if each not in KNOWN])


KNOWN = [variable.name for variable, _ in Settings.documented()]


@pytest.mark.parametrize("seed", range(200))
def test_a_slip_in_a_settings_name_is_told(seed: int) -> None:
    rng = random.Random(seed)
    name = slip(rng.choice(KNOWN), rng)
    with pytest.raises(SettingInvalid, match=f"{name} is no setting; HC_"):
        Settings.from_environment({name: "x"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [("HC_DB_URL", "HC_DATABASE_URL"), ("HC_REDIS_HOST", "HC_BROKER_URL"), ("HC_LOG", "HC_LOG_")],
)
def test_what_others_call_a_setting_is_told(name: str, meant: str) -> None:
    with pytest.raises(SettingInvalid, match=f"{name} is no setting; {meant}"):
        Settings.from_environment({name: "x"})


JUNK = (*"[]:/?#% .@=&\\é", "//", "%zz", "..", "x" * 64)


@pytest.mark.parametrize("seed", range(100))
def test_an_address_is_refused_or_one_for_its_client(seed: int) -> None:
    """Whatever comes after a setting was taken is about a service, and shows no password."""
    rng = random.Random(seed)
    begin = rng.choice(["redis://:secret@", "rediss://:secret@", "redis+socket:///"])
    parts = ["127.0.0.1", ":1", "/0", "?ssl_cert_reqs=none", "?db=1", *JUNK]
    address = begin + "".join(rng.sample(parts, rng.randrange(1, 5)))
    try:
        settings = Settings.from_environment({"HC_BROKER_URL": address, "HC_DATA_DIR": "/none"})
    except SettingInvalid as refusal:
        assert "secret" not in str(refusal)
        return
    assert "secret" not in settings.broker_name
    with pytest.raises(BrokerUnreachable), translated():
        connect(address).ping()


def test_other_programs_variables_are_left_alone() -> None:
    others = ("HC_PASSWORD", "HC_INCOMING", "HC_FUZZ_SEED", "HC_FUZZ_FILES", "HC18_DIR")
    Settings.from_environment(dict.fromkeys(others, "x"))


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(_: object) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(SettingMissing, match="HC_DATA_DIR"):
        Settings.from_environment({})


def test_a_bad_address_is_shown_without_its_password() -> None:
    with pytest.raises(SettingInvalid) as error:
        Settings.from_environment({"HC_BROKER_URL": "amqp://user:secret@host"})
    assert "secret" not in str(error.value)


def test_the_page_of_settings_says_what_is_read() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `HC_")]
    assert rows == [
        f"| `{variable.name}` | {default} | {variable.means} |"
        for variable, default in Settings.documented()
    ]
