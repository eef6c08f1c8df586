"""The examples in docs/webhooks.md tell genuine requests from others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tonne.webhooks.signing import format_secret, sign

PAGE = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"
SECRET, OTHER = format_secret(bytes(range(32))), format_secret(bytes(range(1, 33)))
BODY = b'{"events":[{"sequence":"00000000000000000001","event_type":"order.paid","note":"\xc3\xa4"}]}'
NODE = shutil.which("node")


def example(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def headers(*secrets: str, ago: int = 0) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=ago)
    made = sign(BODY, message_id="m", organisation_id=UUID(int=1), secrets=secrets or (SECRET,), at=at)
    return {name.lower(): value for name, value in made.items()}


def cases() -> list[tuple[bytes, dict[str, str], bool]]:
    """Requests, signed now, and whether they are genuine."""
    return [
        (BODY, headers(), True),
        (BODY, headers(OTHER, SECRET), True),
        (BODY + b" ", headers(), False),
        (BODY, headers(OTHER), False),
        (BODY, headers(ago=400), False),
        (BODY, {}, False),
        (BODY, headers() | {"webhook-id": "other"}, False),
        (BODY, headers() | {"webhook-signature": "v1,"}, False),
    ]


def test_the_python_example_does(capsys: pytest.CaptureFixture[str]) -> None:
    room: dict[str, Any] = {}
    exec(example("python").replace("whsec_…", SECRET), room)
    known = cases()
    assert [room["hook"](body, sent) for body, sent, _ in known] == [
        204 if genuine else 400 for *_, genuine in known
    ]
    assert "00000000000000000001 order.paid" in capsys.readouterr().out


@pytest.mark.skipif(NODE is None, reason="Node is not here")
def test_the_javascript_example_does(tmp_path: Path) -> None:
    assert NODE is not None
    known = cases()
    sent_ = json.dumps([[body.hex(), sent] for body, sent, _ in known])
    script = tmp_path / "check.mjs"
    script.write_text(
        f"{example('javascript')}\n"
        f"const told = {sent_}.map(([body, headers]) => isGenuine(Buffer.from(body, 'hex'), headers, '{SECRET}'));\n"
        "console.log(JSON.stringify(told));\n"
    )
    ran = subprocess.run([NODE, script], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ran.stdout) == [genuine for *_, genuine in known]
