"""How long a certificate takes: setting it, signing it, verifying it. Prints medians in milliseconds."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.certificates.facts import SVG_LOGO, certificate

from tonne.certificates.languages import Language
from tonne.certificates.rendering import render_certificate
from tonne.certificates.signing import create_signer, sign_certificate
from tonne.certificates.verifying import check_certificate_file
from tonne.domain.certificate import Certificate

ROUNDS = 40
AT = datetime(2026, 3, 14, 16, 6, tzinfo=UTC)


def rendered(facts: Certificate) -> bytes:
    return render_certificate(facts, language=Language.ENGLISH)


def milliseconds(work: Callable[[int], object]) -> float:
    times = []
    for number in range(ROUNDS):
        started = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def another(number: int, count: int = 3) -> Certificate:
    """Never the same twice, as what is remembered would tell nothing."""
    return certificate(
        count,
        beneficiary=f"Fabrikate {number} GmbH",
        proof_url=f"https://offsets.example.test/certificates/{os.urandom(11).hex()}",
        logo=SVG_LOGO,
    )


def _render(number: int, count: int) -> bytes:
    return rendered(another(number, count))


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        signer = create_signer(Path(directory), name="Tonne Bench Signer", at=AT)

    started = time.perf_counter()
    rendered(another(-1))
    print(f"first in a process, fonts included   {(time.perf_counter() - started) * 1000:8.1f} ms")
    signed = sign_certificate(rendered(another(-2)), signer, at=AT)
    for count in (2, 3, 5):
        setting = milliseconds(partial(_render, count=count))
        print(f"render {count} retirements                 {setting:8.1f} ms")

    def render_and_sign(number: int) -> bytes:
        return sign_certificate(rendered(another(number)), signer, at=AT)

    both = milliseconds(render_and_sign)
    print(f"render 3 retirements and sign        {both:8.1f} ms")
    japanese = milliseconds(
        lambda number: rendered(certificate(3, beneficiary=f"株式会社ファブリカーテ{number}"))
    )
    print(f"render a Japanese beneficiary        {japanese:8.1f} ms")
    verify = milliseconds(lambda _: check_certificate_file(signed, trusted=[signer.certificate]))
    print(f"verify                               {verify:8.1f} ms")
    started = time.perf_counter()
    size = len(rendered(certificate(1000)))
    print(
        f"render 1,000 retirements             {(time.perf_counter() - started) * 1000:8.1f} ms, {size:,} bytes"
    )


if __name__ == "__main__":
    main()
