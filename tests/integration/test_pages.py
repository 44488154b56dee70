"""The pages as a browser asks for them, as a colleague reviews, and as a stranger tries them."""

from __future__ import annotations

import asyncio
import math
import re
import socket
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from cli.serve import _login
from hcmodel.geometry import Ellipse, Spacing
from rig.command import hc
from rig.pages import Pages, own_copy, serving
from worker.pages.access import Access
from worker.pages.app import make_app
from worker.pages.opinions import ELLIPSE
from worker.pages.site import Site
from worker.reading import read
from worker.roots import Roots
from worker.settings import Settings
from worker.store.listing import ORDER
from worker.store.session import open_database
from worker.store.tables import ReviewRow

TOKENS = {"ada": "a" * 24, "grace": "g" * 30}


@pytest.fixture(scope="module")
def measured(
    phantoms_measured: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of a ledger that holds phantoms and refusals."""
    return own_copy(phantoms_measured, tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def pages(measured: dict[str, str]) -> Iterator[Pages]:
    """Pages that this machine's own user may review on."""
    with serving(measured, "--allow-review", "--reviewer", "mary") as pages:
        yield pages


@pytest.fixture(scope="module")
def tokens_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people's tokens."""
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text("# who: token\n" + "".join(f"{n}:{t}\n" for n, t in TOKENS.items()))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def guarded(measured: dict[str, str], tokens_file: Path) -> Iterator[Pages]:
    """Pages that want a token."""
    with serving(measured, "--allow-review", "--tokens", str(tokens_file)) as pages:
        yield pages


@pytest.fixture
def browser(pages: Pages) -> Iterator[httpx.Client]:
    """A browser that keeps its cookies."""
    with httpx.Client(base_url=pages.url, timeout=60) as client:
        yield client


def rows_of(pages: Pages) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pages.get("/api/results").json()["rows"]
    return rows


def measured_row(pages: Pages) -> dict[str, object]:
    return next(row for row in rows_of(pages) if str(row["source"]).endswith("anisotropic.dcm"))


def form_of(page: str, **values: str) -> dict[str, str]:
    """Return what the page's own form would send."""
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    return {**hidden, **values}


def stored(environment: dict[str, str]) -> int:
    settings = Settings.from_environment(environment)
    with open_database(settings) as database, database.reading() as connection:
        return len(connection.execute(ReviewRow.__table__.select()).all())


def test_rows_that_need_a_person_come_first(pages: Pages) -> None:
    statuses = [str(row["status"]) for row in rows_of(pages)]
    assert len(set(statuses)) >= 2
    assert statuses == sorted(statuses, key=[each.value for each in ORDER].index)


def test_filters_in_the_address_choose_rows(pages: Pages) -> None:
    text = pages.get("/results?status=rejected&source=broken").text
    assert "broken.dcm" in text
    assert "early.dcm" not in text


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=maesured", "status"),
        ("since=yesterday-ish", "since"),
        ("colour=red", "colour"),
        ("after=measured-x", "after"),
        ("since=0001-01-01T00:00%2B23:59", "since"),
        ("until=9999-12-31T23:00-23:00", "until"),
        ("source=a%00b", "source"),
        ("batch=nosuch", "nosuch"),
    ],
)
def test_a_filter_that_cannot_be_read_is_named(pages: Pages, query: str, named: str) -> None:
    answer = pages.get(f"/results?{query}")
    assert answer.status_code in (400, 404)
    assert named in answer.text


def test_a_search_that_is_not_at_its_end_says_so(
    measured: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.store.listing.LOOKING_S", 0.0)

    async def ask(app: ASGIApp) -> tuple[str, str]:
        line = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=line, base_url="http://localhost") as client:
            first = (await client.get("/results?source=nosuch")).text
            following = re.search(r'href="([^"]*)">Look on', first)
            assert following is not None
            return first, (await client.get(unescape(following[1]))).text

    with open_database(Settings.from_environment(measured)) as database:
        site = Site(database, Roots(), None, Access("mary"), False)  # type: ignore[arg-type]
        for text in asyncio.run(ask(make_app(site))):
            assert "No row yet: not all paths were looked at" in text


def test_an_image_is_what_was_read(pages: Pages) -> None:
    for row in rows_of(pages):
        if row["status"] != "measured":
            continue
        answer = pages.get(f"/scans/{row['scan_id']}/image")
        assert answer.headers["cache-control"] == "no-store"
        shown = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(shown, read(Path(str(row["source"]))).pixels)


def test_a_file_that_changed_or_went_is_refused_by_name(
    pages: Pages, measured: dict[str, str]
) -> None:
    row = next(row for row in rows_of(pages) if str(row["source"]).endswith("late.dcm"))
    path = Path(str(row["source"]))
    before = path.read_bytes()
    try:
        path.write_bytes(path.with_name("early.dcm").read_bytes())
        changed = pages.get(f"/scans/{row['scan_id']}/image")
        path.unlink()
        gone = pages.get(f"/scans/{row['scan_id']}/image")
    finally:
        path.write_bytes(before)
    assert (changed.status_code, gone.status_code) == (409, 409)
    assert "no longer the one" in changed.text
    assert "not there" in gone.text


def test_a_name_is_shown_as_text(pages: Pages) -> None:
    text = pages.get("/results").text
    assert "&lt;img src=x onerror=alert(1)&gt;\\u202eexam [bold].png" in text
    assert "<img" not in text


def test_a_correction_is_measured_here_and_the_result_stays(
    pages: Pages, browser: httpx.Client
) -> None:
    row = measured_row(pages)
    page = browser.get(f"/scans/{row['scan_id']}").text
    ellipse = Ellipse(400.0, 260.0, 190.0, 150.0, 0.4)
    numbers = {name: str(getattr(ellipse, name)) for name in ELLIPSE}
    sent = form_of(page, verdict="corrected", hc_mm="1", **numbers)
    answer = browser.post(f"/scans/{row['scan_id']}/reviews", data=sent)
    assert answer.status_code == 303
    browser.post(f"/scans/{row['scan_id']}/reviews", data=sent)  # sent twice
    data = pages.get(f"/api/scans/{row['scan_id']}").json()
    (review,) = data["reviews"]
    spacing = Spacing(float(str(row["row_mm"])), float(str(row["column_mm"])))
    assert review["hc_mm"] == pytest.approx(ellipse.circumference_mm(spacing))
    assert review["reviewer"] == "mary"
    assert data["row"] == row


def test_the_opinions_of_two_people_are_both_kept(guarded: Pages) -> None:
    scan_id = next(row for row in _asked_by(guarded, "ada") if row["status"] == "measured")[
        "scan_id"
    ]
    for name, verdict in (("ada", "accepted"), ("grace", "rejected")):
        given = {"verdict": verdict, "reason": "other-plane", "request_key": f"key-of-{name}"}
        for status_code in (201, 200):  # the second time it is there already
            answer = httpx.post(
                f"{guarded.url}/api/scans/{scan_id}/reviews", json=given, headers=_bearer(name)
            )
            assert answer.status_code == status_code
    data = httpx.get(f"{guarded.url}/api/scans/{scan_id}", headers=_bearer("ada")).json()
    said = [(each["reviewer"], each["verdict"], each["reason"]) for each in data["reviews"]]
    assert said[-2:] == [("ada", "accepted", None), ("grace", "rejected", "other-plane")]
    unseen = httpx.get(f"{guarded.url}/api/results?unseen=1", headers=_bearer("ada")).json()["rows"]
    assert scan_id not in [row["scan_id"] for row in unseen]


def _bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {TOKENS[name]}"}


def _asked_by(pages: Pages, name: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pages.get("/api/results", headers=_bearer(name)).json()["rows"]
    return rows


ODD = st.sampled_from(["", "nan", "inf", "-1", "1e300", "x", "0", "9" * 400]) | st.floats().map(str)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    values=st.fixed_dictionaries(dict.fromkeys(ELLIPSE, ODD)),
    verdict=st.sampled_from(["corrected", "Accepted", "", "rejected"]),
    reason=st.sampled_from(["", "because", "<b>"]),
)
def test_an_opinion_that_makes_no_sense_is_refused(
    guarded: Pages, measured: dict[str, str], values: dict[str, str], verdict: str, reason: str
) -> None:
    before = stored(measured)
    given = {**values, "verdict": verdict, "reason": reason, "request_key": "a-key-of-mine"}
    scan_id = _asked_by(guarded, "ada")[0]["scan_id"]
    answer = httpx.post(
        f"{guarded.url}/api/scans/{scan_id}/reviews", json=given, headers=_bearer("ada")
    )
    numbers = [float(value) if _is_number(value) else math.nan for value in values.values()]
    if answer.status_code in (200, 201):  # a proper ellipse by chance
        assert verdict == "corrected"
        assert all(map(math.isfinite, numbers))
        return
    assert answer.status_code == 400
    assert answer.json()["code"] == "review-invalid"
    assert stored(measured) == before


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "forged",
    [
        {"form_key": ""},
        {"form_key": "0" * 64},
        {"form_key": "\u732b"},
        {"header": ("origin", "https://elsewhere.example")},
        {"header": ("sec-fetch-site", "cross-site")},
        {"cookies": False},
    ],
    ids=str,
)
def test_a_form_of_another_site_is_refused(
    pages: Pages, browser: httpx.Client, measured: dict[str, str], forged: dict[str, object]
) -> None:
    row = measured_row(pages)
    before = stored(measured)
    sent = form_of(browser.get(f"/scans/{row['scan_id']}").text, verdict="accepted")
    sent["form_key"] = str(forged.get("form_key", sent["form_key"]))
    name, value = forged.get("header", ("x-nothing", "1"))  # type: ignore[misc]
    if not forged.get("cookies", True):
        browser.cookies.clear()
    answer = browser.post(
        f"/scans/{row['scan_id']}/reviews", data=sent, headers={str(name): str(value)}
    )
    assert answer.status_code == 403
    assert stored(measured) == before


def test_without_allow_review_nothing_can_be_stored(measured: dict[str, str], pages: Pages) -> None:
    row = measured_row(pages)
    with serving(measured) as readonly, httpx.Client(base_url=readonly.url) as client:
        page = client.get(f"/scans/{row['scan_id']}").text
        assert 'id="review"' not in page
        sent = form_of(page, verdict="accepted")
        assert client.post(f"/scans/{row['scan_id']}/reviews", data=sent).status_code == 404


def test_the_way_in_is_a_token(guarded: Pages) -> None:
    with httpx.Client(base_url=guarded.url, follow_redirects=True) as client:
        assert "Your token" in client.get("/").text
        wrong = client.post("/login", data={"token": "z" * 24})
        assert wrong.status_code == 401
        assert "ada" in client.post("/login", data={"token": TOKENS["ada"]}).text
        cookie = client.cookies["hc_session"]
    packed, _, signature = cookie.partition(".")
    for changed in (f"{packed[:-2]}AA.{signature}", f"{packed}.{signature[::-1]}", "x", ""):
        answer = guarded.get("/", headers={"cookie": f"hc_session={changed}"})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login"
    assert guarded.get("/api/results", headers={"authorization": "Bearer no"}).status_code == 401
    assert guarded.get("/scans/1/image").status_code == 401


def test_a_proxys_name_counts_from_the_proxy_alone(measured: dict[str, str]) -> None:
    asked = {"x-remote-user": "lise"}
    words = ("--proxy-user", "X-Remote-User", "--trusted-proxy")
    with serving(measured, *words, "127.0.0.1") as behind:
        assert "lise" in behind.get("/", headers=asked).text
        assert behind.get("/").status_code == 401
    with serving(measured, *words, "10.1.2.3") as elsewhere:
        assert elsewhere.get("/", headers=asked).status_code == 401


def test_pages_for_others_want_a_token_or_a_proxy(measured: dict[str, str], tmp_path: Path) -> None:
    done = hc(measured, "serve", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "pages-unprotected" in done.stderr
    open_file = tmp_path / "tokens"
    open_file.write_text(f"ada:{'a' * 24}\n")
    open_file.chmod(0o644)
    assert "chmod 600" in hc(measured, "serve", "--tokens", str(open_file)).stderr
    open_file.chmod(0o600)
    open_file.write_text("ada:short\n")
    assert "line 1" in hc(measured, "serve", "--tokens", str(open_file)).stderr


def test_a_user_without_a_name_reviews_under_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 54321)
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    assert _login() == "user 54321"


def test_an_address_that_is_taken_is_named(measured: dict[str, str], pages: Pages) -> None:
    done = hc(measured, "serve", "--port", pages.url.rpartition(":")[2])
    assert done.returncode == 2
    assert "address-taken" in done.stderr


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/%2e%2e/errors.py",
        "/static//etc/passwd",
        "/scans/..%2f..%2fetc%2fpasswd",
        "/scans/1%00/image",
        "/scans/99999999999999999999999",
        "/scans/-1",
        "/scans/1/image/../../..",
    ],
)
def test_no_path_in_an_address_leads_to_a_file(pages: Pages, path: str) -> None:
    with socket.create_connection(_address(pages), timeout=30) as line:
        line.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        answer = _all(line)
    assert b" 404 " in answer.splitlines()[0] or b" 400 " in answer.splitlines()[0]
    assert b"root:" not in answer
    assert b"import" not in answer


def test_another_sites_name_that_leads_here_is_refused(pages: Pages) -> None:
    assert pages.get("/", headers={"host": "evil.example"}).status_code == 421


def test_every_answer_says_what_a_page_may_do(pages: Pages) -> None:
    for path in ("/", "/nothing", "/static/style.css", "/api/results", "/results?status=x"):
        headers = pages.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_ten_megabytes_of_query_or_body_are_refused(pages: Pages) -> None:
    much = "x" * 10_000_000
    try:
        answer = pages.get(f"/results?source={much}")
        assert answer.status_code in (400, 414)
    except (httpx.TransportError, httpx.InvalidURL):
        pass  # hung up on in the middle of it, or not even sent
    with socket.create_connection(_address(pages), timeout=30) as line:
        line.sendall(
            b"GET /results?source=" + b"x" * 60_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        assert b" 414 " in line.recv(100)
    form = {"content-type": "application/x-www-form-urlencoded"}
    for body in (much.encode(), iter([much.encode()])):  # the second tells no length
        with httpx.Client(base_url=pages.url, headers=form) as client:
            client.get("/")
            try:
                answer = client.post("/scans/1/reviews", content=body)
                assert answer.status_code == 413
            except httpx.TransportError:
                pass
    assert pages.get("/health").text == "ok"


def test_a_thousand_connections_that_say_nothing_end_and_others_are_served(pages: Pages) -> None:
    lines = [socket.create_connection(_address(pages), timeout=60) for _ in range(1000)]
    try:
        for line in lines[::2]:
            line.sendall(b"GET / HTTP/1.1\r\nHost: local")
        deadline = time.monotonic() + 120
        while pages.get("/health").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert all(_all(line) == b"" for line in lines)
    finally:
        for line in lines:
            line.close()
    assert pages.get("/").status_code == 200


def _address(pages: Pages) -> tuple[str, int]:
    return "127.0.0.1", int(pages.url.rpartition(":")[2])


def _all(line: socket.socket) -> bytes:
    parts = []
    while part := line.recv(65536):
        parts.append(part)
    return b"".join(parts)
