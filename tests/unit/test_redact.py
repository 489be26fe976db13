"""No text that leaves the process holds a secret, also where a URL was written down wrongly."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from streamix_queue import Consumer, Publisher
from streamix_queue.actors.executor import describe
from streamix_queue.broker.redis.link import Link
from streamix_queue.core.errors import ConfigError
from streamix_queue.core.redact import redact_text, redact_url
from tests.support.refusals import refusal

# Every piece is long enough to be told from what a URL or an error text says anyway.
_pieces = st.sampled_from(["hunter2pw", "Tr0ub4dor", "c0rrecth0rse"])
_between = st.sampled_from(
    ["", "/", "?", "#", "@", ":", "//", "://", "%", "+", "&", "=", "'", '"', "\\", "[", "]", "\u00fc"]
)
passwords = st.lists(st.tuples(_pieces, _between), min_size=1, max_size=3).map(
    lambda pairs: "".join(piece + between for piece, between in pairs)
)
users = st.sampled_from(["", "default", "us3rname"])
SECRETS = ("hunter2pw", "Tr0ub4dor", "c0rrecth0rse", "us3rname")


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


# --- URLs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://localhost", "redis://localhost"),
        ("redis://user:secret@redis.internal:6380/2", "redis://redis.internal:6380/2"),
        ("redis://:secret@10.0.0.1", "redis://10.0.0.1"),
        ("rediss://:secret@[2001:db8::1]:6379/0", "rediss://[2001:db8::1]:6379/0"),
        ("redis://h:6379/0?password=secret&socket_timeout=5", "redis://h:6379/0"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("unix://user:secret@/run/redis.sock", "unix:///run/redis.sock"),
        ("redis://:se@cret@h/0", "redis://h/0"),
    ],
)
def test_the_server_is_shown_and_nothing_else(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "://secret",
        "user:secret@host",
        "redis://:sec/ret@host/0",
        "redis://:sec#ret@host",
        "redis://:sec?ret@host",
        "redis://user:secret",
        "redis://[secret",
        "redis://h:6379:secret",
        "sec ret://h",
    ],
)
def test_of_a_url_that_may_show_a_secret_nothing_is_shown(url: str) -> None:
    assert redact_url(url) == "<unreadable url>"


@given(users, passwords, st.booleans(), st.sampled_from(["h", "redis.internal:6379", "h:6379/0", "h/0?db=1"]))
@example("", "hunter2pw/Tr0ub4dor", False, "h:6379/0")
def test_no_url_leaks_its_password(user: str, password: str, escaped: bool, rest: str) -> None:
    url = f"redis://{user}:{quote(password, safe='') if escaped else password}@{rest}"

    assert leaks(redact_url(url)) == []


@given(st.text())
def test_any_text_can_be_asked_for_as_a_url(url: str) -> None:
    assert redact_url(f"redis://{url}").startswith(("redis://", "<unreadable url>"))


# --- texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("nothing to hide", "nothing to hide"),
        ("see https://example.com/a/@b", "see https://example.com/a/@b"),
        ("to redis://u:p@h:6379/0 and amqp://t@q", "to redis://***@h:6379/0 and amqp://***@q"),
        ("'redis://:a/b@h'", "'redis://***@h'"),
        ("at http://h:80/path", "at http://h:80/path"),
        ("me@example.com", "me@example.com"),
        ("redis://@h", "redis://***@h"),
        ("://", "://"),
        ("x\ud800y", "x?y"),
    ],
)
def test_a_text_keeps_all_but_the_credentials(text: str, clean: str) -> None:
    assert redact_text(text) == clean


@given(st.text(), users, passwords, st.booleans(), st.text())
def test_no_text_leaks_the_password_of_a_url_in_it(
    before: str, user: str, password: str, escaped: bool, after: str
) -> None:
    # "://" inside a password looks like the end of one URL and the beginning of the next.
    assume("://" not in password)
    url = f"postgres://{user}:{quote(password, safe='') if escaped else password}@db.internal/app"

    clean = redact_text(f"{before} {url} {after}")

    assert leaks(clean) == []
    assert "postgres://***@db.internal/app" in clean


@given(st.text(st.characters()))
def test_a_clean_text_is_safe_utf8_and_stays_clean(text: str) -> None:
    clean = redact_text(text)

    assert redact_text(clean) == clean.encode().decode()


@pytest.mark.parametrize("hostile", ["a://", "://:", "a:@", "//@", "x://y:z@"])
def test_a_hostile_text_takes_linear_time(hostile: str) -> None:
    started = time.perf_counter()

    redact_text(hostile * 50_000)

    assert time.perf_counter() - started < 5, "quadratic time would be minutes"


@pytest.mark.parametrize("before", range(1900, 2001, 5))
def test_a_url_at_the_end_of_a_shortened_text_is_told_all_the_same(before: int) -> None:
    """Cut between password and host it would look like any other text."""
    url = f"redis://us3rname:{'hunter2pw' * 5}@redis.internal:6379/0"

    failure = describe(ConnectionError(f"{'x ' * (before // 2)}{url}{' y' * 20_000}"))

    assert leaks(failure.error) == []
    assert leaks(failure.traceback) == []
    assert len(failure.error) <= 2000
    assert len(failure.traceback) <= 8192


@pytest.mark.parametrize("after", range(8100, 8200, 5))
def test_a_url_at_the_beginning_of_a_shortened_traceback_is_told_all_the_same(after: int) -> None:
    url = f"redis://us3rname:{'hunter2pw' * 5}@redis.internal:6379/0"

    failure = describe(ConnectionError(f"{' y' * 5000}{url}{' y' * (after // 2)}"))

    assert leaks(failure.traceback) == []


# --- the errors about a URL -----------------------------------------------------------------------------

BAD_URLS: list[Any] = [
    "redis://:hunter2pw/Tr0ub4dor@h:6379/0",
    "redis://us3rname:hunter2pw",
    "redis://us3rname:hunter2pw@h:port/0",
    "redis://us3rname:hunter2pw@h:99999/0",
    "redis://:hunter2pw@[::1/0",
    "redis://:hunter2pw\u2100@h/0",
    "http://:hunter2pw@h/0",
    "redis://:hunter2pw@h/0?socket_timeout=soon",
    "us3rname:hunter2pw@h",
    b"redis://:hunter2pw@h/0",
    re.compile("redis://:hunter2pw@h/0"),
    "redis://:hunter2pw@h/0\ud800",
]


@pytest.mark.parametrize("url", BAD_URLS, ids=range(len(BAD_URLS)))
@pytest.mark.parametrize("kind", [Consumer, Publisher])
def test_the_refusal_of_a_url_does_not_quote_its_secrets(kind: Any, url: Any) -> None:
    with pytest.raises(ConfigError, match=r"^redis_url") as raised:
        kind(url)

    error: BaseException | None = raised.value
    while error is not None:
        assert error is raised.value or raised.value.__suppress_context__
        assert leaks(str(error)) == []
        error = error.__cause__


@given(passwords)
def test_whatever_the_password_no_refusal_quotes_it(password: str) -> None:
    text = refusal(ConfigError, Link, f"redis://us3rname:{password}@h:6379/0", 1.0)

    assert leaks(text or "") == []
