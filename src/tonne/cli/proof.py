"""`tonne proof`: check certificates, without the service and without a network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tonne.certificates.verifying import FILE_BYTES_MAX, Verdict, check_certificate_file, mode_of, superseded
from tonne.cli.session import (
    console,
    database_options,
    json_option,
    print_json,
    settings_with,
    with_connection,
)
from tonne.domain.times import format_time
from tonne.storage.accounts import load_directory
from tonne.storage.certificates import find_issue, trusted_certificates
from tonne.storage.database import Connection


@click.group()
def proof() -> None:
    """Proof: certificates of retirement, and who signed them."""


@proof.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--signed-by",
    "certificate_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check offline, against this certificate of the signer (X.509, PEM; see `tonne proof signers`). "
    "Without it, the database says who signed and what was handed out.",
)
@database_options
@json_option
def check(
    file: Path,
    certificate_files: tuple[Path, ...],
    data_dir: Path | None,
    database_url: str | None,
    *,
    as_json: bool,
) -> None:
    """Say whether FILE is a certificate of ours, unchanged to the last byte; exits with 1 where it is not."""
    if file.stat().st_size > FILE_BYTES_MAX:
        msg = f"{file} is larger than {FILE_BYTES_MAX // 10**6} MB: certificates are not."
        raise click.ClickException(msg)
    pdf = file.read_bytes()
    if certificate_files:
        verdict = check_certificate_file(pdf, trusted=_read_certificates(certificate_files))
    else:
        settings = settings_with(data_dir=data_dir, database_url=database_url)
        verdict = with_connection(settings, lambda connection: _check(connection, pdf))
    _say(verdict, as_json=as_json)
    sys.exit(0 if verdict.valid else 1)


@proof.command()
@database_options
def signers(data_dir: Path | None, database_url: str | None) -> None:
    """Print the certificates (X.509, PEM) of all keys that ever signed here: give them to whoever checks offline."""
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    found = with_connection(settings, trusted_certificates)
    if not found:
        msg = "Nothing has been signed yet: the key is made with the first certificate."
        raise click.ClickException(msg)
    for certificate in found:
        pem = x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)
        sys.stdout.write(pem.decode("ascii"))


async def _check(connection: Connection, pdf: bytes) -> Verdict:
    trusted = await trusted_certificates(connection)
    verdict = check_certificate_file(pdf, trusted=trusted)
    if not verdict.valid:
        return verdict
    directory = await load_directory(connection)
    organisations = list({account.organisation_id for account in directory.accounts.values()})
    known, is_old = await find_issue(connection, organisations, bytes.fromhex(verdict.sha256))
    verdict = check_certificate_file(pdf, trusted=trusted, known=lambda _: known)
    return superseded(verdict) if known and is_old else verdict


def _read_certificates(paths: Sequence[Path]) -> list[bytes]:
    found: list[bytes] = []
    for path in paths:
        try:
            certificates = x509.load_pem_x509_certificates(path.read_bytes())
        except ValueError:
            msg = f"{path} holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----."
            raise click.ClickException(msg) from None
        found += [certificate.public_bytes(Encoding.DER) for certificate in certificates]
    return found


def _say(verdict: Verdict, *, as_json: bool) -> None:
    signed_at = None if verdict.signed_at is None else format_time(verdict.signed_at)
    if as_json:
        findings = [{"code": finding.code.value, "message": finding.message} for finding in verdict.findings]
        facts = {"signed_at": signed_at, "signer_name": verdict.signer_name, "sha256": verdict.sha256}
        print_json({"valid": verdict.valid, "mode": mode_of(verdict), "findings": findings, **facts})
        return
    if verdict.is_test:
        console.print("[yellow]TEST, nothing was retired[/]" if verdict.valid else "[red]not valid[/]")
    else:
        console.print("[green]valid[/]" if verdict.valid else "[red]not valid[/]")
    for finding in verdict.findings:
        console.print(f"  {finding.message}", markup=False)
    if verdict.valid:
        console.print(f"  Signed at {signed_at} by {verdict.signer_name}.", markup=False)
