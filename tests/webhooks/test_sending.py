"""Requests that leave: to the right host over TLS, with limits on everything that an endpoint may do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tonne.webhooks.sending import (
    ANSWER_BYTES_MAX,
    Answered,
    ResolvingBusy,
    Sender,
    SendingRules,
    UrlNotUsable,
)

SOMEBODY, ANOTHER = UUID(int=1), UUID(int=2)
LOOPBACK = (ip_network("127.0.0.0/8"),)
RULES = SendingRules(allow_http=True, allowed_networks=LOOPBACK, timeout_seconds=2)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(*parts: bytes, wait: float = 0) -> tuple[Serve, list[bytes]]:
    """An endpoint that answers with these bytes, some time after each; and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        asked.append(head + await reader.readexactly(length))
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(wait)
        except OSError:
            pass
        finally:
            writer.close()

    return serve, asked


def send(
    serve: Serve,
    *,
    path: str = "/hook",
    scheme: str = "http",
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    rules: SendingRules = RULES,
) -> Answered:
    """Send one request to an endpoint on this machine, under any name."""

    async def run() -> Answered:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]

        async def resolve(name: str, _: int) -> list[str]:
            assert name == host
            return ["127.0.0.1"]

        sender = Sender(rules, resolve)
        try:
            return await sender.send(
                f"{scheme}://{host}:{port}{path}",
                headers={"X-Test": "1"},
                body=b'{"events":[]}',
                organisation_id=SOMEBODY,
            )
        finally:
            await sender.close()
            server.close()

    return asyncio.run(run())


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_request_has_what_it_needs_and_an_answer_is_told() -> None:
    serve, asked = answering(OK)
    answered = send(serve, path="/hook?a=b%20c")
    assert (answered.status, answered.answer, answered.error, answered.is_acknowledged) == (
        200,
        b"ok",
        None,
        True,
    )
    head = asked[0].partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[0] == b"POST /hook?a=b%20c HTTP/1.1"
    assert b"X-Test: 1" in head
    assert asked[0].endswith(b'{"events":[]}')


@pytest.mark.parametrize(
    ("status", "acknowledged"),
    [
        (200, True),
        (202, True),
        (204, True),
        (299, True),
        (199, False),
        (301, False),
        (400, False),
        (500, False),
    ],
)
def test_any_2xx_acknowledges_and_nothing_else_does(status: int, *, acknowledged: bool) -> None:
    serve, _ = answering(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
    assert send(serve).is_acknowledged is acknowledged


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    serve, asked = answering(
        b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:1/other\r\nContent-Length: 0\r\n\r\n" % status
    )
    answered = send(serve)
    assert "redirects are not followed" in (answered.error or "")
    assert len(asked) == 1


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert send(answering(OK)[0]).status == 200


def test_of_an_answer_64_kilobytes_are_read_and_one_is_kept() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            for _ in range(20_000):
                writer.write(b"x" * 1000)
                await writer.drain()
                sent += 1000
        except OSError:
            pass

    answered = send(endless)
    assert answered.is_acknowledged
    assert answered.answer == b"x" * 1024
    assert sent < 20_000_000
    assert ANSWER_BYTES_MAX == 64_000


def test_an_endless_header_is_not_read() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        try:
            for number in range(100_000):
                writer.write(b"X-%d: %s\r\n" % (number, b"y" * 100))
                await writer.drain()
        except OSError:
            pass

    assert not send(endless).is_acknowledged


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([], "no answer within 2 s"),
        ([b"H"] * 40, "no answer within 2 s"),
        ([b"HTTP/1.1 200 OK\r\nX-A: ", *[b"b"] * 40], "no answer within 2 s"),
    ],
)
def test_who_does_not_answer_in_time_has_not_acknowledged(parts: list[bytes], told: str) -> None:
    serve, _ = answering(b"", *parts, wait=0.1 if parts else 10)
    answered = send(serve)
    assert not answered.is_acknowledged
    assert told in (answered.error or "")
    assert answered.duration_ms >= 1900


@pytest.mark.parametrize(
    ("connect_seconds", "told"), [(0.5, "no connection within 0.5 s"), (10, "no answer within 2 s")]
)
def test_an_address_that_takes_no_connection_is_told_apart_from_one_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, connect_seconds: float, told: str
) -> None:
    monkeypatch.setattr("tonne.webhooks.sending.CONNECT_SECONDS", connect_seconds)

    async def run(port: int) -> Answered:
        sender = Sender(RULES)
        try:
            return await sender.send(
                f"http://127.0.0.1:{port}/hook", headers={}, body=b"{}", organisation_id=SOMEBODY
            )
        finally:
            await sender.close()

    with ExitStack() as stack:
        # Whose queue is full: whoever asks for a connection hears nothing.
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        answered = asyncio.run(run(server.getsockname()[1]))
    assert (answered.status, answered.error) == (None, told)


@pytest.mark.parametrize(
    "parts", [[b"nonsense\r\n\r\n"], [b""], [b"HTTP/1.1 20x OK\r\n\r\n"], [b"HTTP/1.1 100 Continue\r\n\r\n"]]
)
def test_nonsense_is_not_an_acknowledgement(parts: list[bytes]) -> None:
    answered = send(answering(*parts)[0])
    assert not answered.is_acknowledged
    assert answered.error


def test_a_body_that_drips_keeps_nobody_waiting_once_it_was_acknowledged() -> None:
    serve, _ = answering(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 60, wait=0.1)
    answered = send(serve, rules=SendingRules(True, LOOPBACK, 30))
    assert (answered.is_acknowledged, answered.error) == (True, None)
    assert answered.duration_ms < 5000
    assert answered.answer.startswith(b"xxx")


def test_a_flood_before_the_answer_is_cut_off() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        try:
            for _ in range(100_000):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
                await writer.drain()
                sent += 2500
        except OSError:
            pass

    answered = send(flood)
    assert not answered.is_acknowledged
    assert "before an answer" in (answered.error or "")
    assert sent < 20_000_000


def test_names_of_one_organisation_that_are_not_answered_for_keep_no_other_organisation_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    looked_up = socket.getaddrinfo

    def look_up(host: str, port: int, *more: Any, **named: Any) -> Any:
        if host.startswith("stuck"):
            release.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, host)
        return looked_up("127.0.0.1", port, *more, **named)

    monkeypatch.setattr("socket.getaddrinfo", look_up)

    async def run() -> None:
        serve, _ = answering(OK)
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        sender = Sender(SendingRules(True, LOOPBACK, 10))

        async def ask(host: str, organisation_id: UUID) -> Answered:
            return await sender.send(
                f"http://{host}:{port}/hook", headers={}, body=b"{}", organisation_id=organisation_id
            )

        # Of the same name any number may wait: it is looked up once.
        stuck = [asyncio.create_task(ask(f"stuck{number % 300}.example", SOMEBODY)) for number in range(400)]
        await asyncio.sleep(0.5)
        # A name for which there is no room is nobody's failure, and an address needs no looking up.
        refused = [task for task in stuck if task.done()]
        assert len(refused) == 300 - 64 + 100 - 64
        assert all(isinstance(task.exception(), ResolvingBusy) for task in refused)
        with pytest.raises(ResolvingBusy):
            await ask("one-more.example", SOMEBODY)
        assert (await ask("127.0.0.1", SOMEBODY)).status == 200
        assert (await ask("quick.example", ANOTHER)).status == 200
        release.set()
        answers = await asyncio.gather(*(task for task in stuck if task not in refused))
        assert not any(answered.is_acknowledged for answered in answers)
        # What is over counts no more.
        assert (await ask("one-more.example", SOMEBODY)).status == 200
        await sender.close()
        server.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("99999999999", 10**6),
        ("9" * 5000, 10**6),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_retry_after_is_read(value: str, seconds: int | None) -> None:
    serve, _ = answering(f"HTTP/1.1 429 X\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode())
    assert send(serve).retry_after == (None if seconds is None else timedelta(seconds=seconds))


def test_retry_after_may_be_a_date() -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    serve, _ = answering(f"HTTP/1.1 503 X\r\nRetry-After: {later}\r\nContent-Length: 0\r\n\r\n".encode())
    after = send(serve).retry_after
    assert after is not None
    assert timedelta(minutes=59) < after <= timedelta(hours=1)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https:///x",
        "example.com/hook",
        "https://user:secret@example.com/",
        "https://user@example.com/",
        "https://example.com/#part",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://a..b/",
        "https://.example.com/",
        "https://" + "a" * 64 + ".com/",
        "https://exämple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nX-Evil: 1",
        "https://example.com\\@127.0.0.1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://example.com/" + "a" * 2000,
        "//example.com/",
        "",
    ],
)
def test_what_is_no_public_https_url_is_refused(url: str) -> None:
    with pytest.raises(UrlNotUsable):
        SendingRules().check_url(url)


def test_http_is_allowed_by_a_setting_alone() -> None:
    SendingRules(allow_http=True).check_url("http://example.com/")
    with pytest.raises(UrlNotUsable, match="https"):
        SendingRules().check_url("http://example.com/")


# --- TLS ---


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's certificate for a name, and a file with the authority that signed it: itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority = folder / "authority.pem"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, private)
    return context, authority


def test_the_name_goes_into_sni_and_host_and_the_certificate_must_be_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certificate(tmp_path, "hook.example")
    named: list[str | None] = []
    context.sni_callback = lambda _, name, __: named.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    serve, asked = answering(OK)
    answered = send(serve, scheme="https", host="hook.example", tls=context)
    assert (answered.status, answered.error) == (200, None)
    assert named == ["hook.example"]
    assert b"\r\nHost: hook.example:" in asked[0]
    other = send(serve, scheme="https", host="other.example", tls=context)
    assert "certificate" in (other.error or "").lower()
    assert len(asked) == 1


def test_a_certificate_of_nobody_known_is_refused(tmp_path: Path) -> None:
    context, _ = certificate(tmp_path, "hook.example")
    serve, asked = answering(OK)
    answered = send(serve, scheme="https", host="hook.example", tls=context)
    assert "certificate" in (answered.error or "").lower()
    assert asked == []
