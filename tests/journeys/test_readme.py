"""The README's session works as printed: its commands are run, and the answers are those it shows."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
CHANGING = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z"), "<time>"),
]
END = "@@end of answer@@"


def session() -> tuple[str, list[tuple[str, str]]]:
    """The set-up commands, and each later command with the answer that is printed below it."""
    text = README.read_text(encoding="utf-8").partition("## A first session")[2]
    setup, _, rest = text.partition("```sh\n")[2].partition("```")
    return setup, re.findall(r"```sh\n(.*?)```\n\n```json\n(.*?)```", rest, re.DOTALL)


def normal(answer: str) -> str:
    for pattern, name in CHANGING:
        answer = pattern.sub(name, answer)
    return answer.strip()


def test_the_readme_s_session_prints_what_it_says(start):
    served = start()
    (served.data_dir.parent / "tonne-data").symlink_to(served.data_dir)
    setup, steps = session()
    assert len(steps) >= 6
    setup = setup.replace("http://127.0.0.1:8080", served.demo["base_url"])
    script = setup + "".join(f"{command}\necho '{END}'\n" for command, _ in steps)
    ran = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=served.data_dir.parent,
    )
    printed = ran.stdout.split(END + "\n")[:-1]
    assert [normal(answer) for answer in printed] == [normal(shown) for _, shown in steps]


def test_the_readme_opens_with_the_two_commands():
    opening = README.read_text(encoding="utf-8").partition("## ")[0]
    assert opening.index("make serve") < opening.index("make test")


def test_the_readme_s_whole_answers_are_json():
    cut = ("| head", "| tail", "| grep")
    whole = [shown for command, shown in session()[1] if not any(part in command for part in cut)]
    assert len(whole) >= 3
    for shown in whole:
        json.loads(shown)
