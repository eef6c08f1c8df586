"""Imports point one way, the domain is pure, SQL stays in storage and nothing grows too large: docs and house rules.

    main -> http web cli -> wire -> application -> storage estimates certificates webhooks -> domain

Each rule reads source code and tells what breaks it; it is run on the package, and on snippets of both kinds to prove
that it would notice.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import tonne

PACKAGE = Path(tonne.__file__).parent

# What is higher may import what is lower, over levels too. Neighbours on a level don't import each other.
LEVELS = {
    "main": 5,
    "__main__": 5,
    "http": 4,
    "web": 4,
    "cli": 4,
    "wire": 3,
    "application": 2,
    "storage": 1,
    "estimates": 1,
    "certificates": 1,
    "webhooks": 1,
    "domain": 0,
}
# Where the service is started; everything else gets its values handed in.
STARTING = {"settings": {"main", "cli"}, "logs": {"main", "cli"}}
# A program of its own: neither imports the service nor is imported by it.
APART = {"client"}
PARTS = LEVELS.keys() | STARTING.keys() | APART

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60

# Clock, environment, files, network and randomness.
IMPURE_MODULES = {
    "asyncio",
    "io",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}
IMPURE_NAMES = {
    "getenv",
    "input",
    "monotonic",
    "now",
    "open",
    "perf_counter",
    "read_bytes",
    "read_text",
    "today",
    "token_bytes",
    "token_hex",
    "urandom",
    "utcnow",
    "uuid1",
    "uuid4",
    "uuid7",
    "write_text",
}

SQL = re.compile(
    r"\b(INSERT\s+INTO|DELETE\s+FROM|SELECT\b.*\bFROM|UPDATE\b.*\bSET)\b"
    r"|^\s*(insert\s+into|delete\s+from|select\b.*\bfrom|update\b.*\bset)\b",
    re.DOTALL,
)


@dataclass(frozen=True)
class Module:
    """A module's name, such as `tonne.http.app`, and its source."""

    name: str
    source: str
    is_package: bool = False

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def part(self) -> str:
        """`http` for `tonne.http.app`; nothing for the package itself."""
        return self.name.removeprefix("tonne").removeprefix(".").partition(".")[0]


Rule = Callable[[Module], list[str]]


def modules() -> list[Module]:
    """Every module of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        names = ["tonne", *path.relative_to(PACKAGE).with_suffix("").parts]
        is_package = names[-1] == "__init__"
        name = ".".join(names[:-1] if is_package else names)
        found.append(Module(name, path.read_text(encoding="utf-8"), is_package))
    return found


# --- The rules ---


def imports_point_one_way(module: Module) -> list[str]:
    """An import is allowed by the arrows, or it is told."""
    return [
        f"{module.name} imports {imported}"
        for imported in imports_of(module)
        if imported.split(".")[0] == "tonne" and not _may_import(module, part_of(imported))
    ]


def _may_import(module: Module, imported: str) -> bool:
    if module.part == imported:
        return True
    if module.part == "":
        return False
    if imported == "":
        # The package itself, for its version.
        return True
    if imported in STARTING:
        return module.part in STARTING[imported]
    if module.part not in LEVELS or imported not in LEVELS:
        return False
    return LEVELS[module.part] > LEVELS[imported]


def every_part_has_its_place(module: Module) -> list[str]:
    """A new room of the package is put on a level here first."""
    return [] if module.part in PARTS | {""} else [f"{module.name}: {module.part} is on no level"]


def the_domain_imports_the_standard_library_only(module: Module) -> list[str]:
    """Neither other people's code nor modules that reach out of the process."""
    if module.part != "domain":
        return []
    return [
        f"{module.name} imports {imported}"
        for imported in imports_of(module)
        if imported.split(".")[0] in IMPURE_MODULES
        or not (part_of(imported) == "domain" or imported.split(".")[0] in sys.stdlib_module_names)
    ]


def the_domain_reads_no_clock_environment_file_or_randomness(module: Module) -> list[str]:
    """Times and ids are arguments."""
    if module.part != "domain":
        return []
    return [
        f"{module.name}:{node.lineno} uses {name}"
        for node in nodes_of(module)
        for name in _impure_names_in(node)
    ]


def _impure_names_in(node: ast.AST) -> set[str]:
    match node:
        # Called or handed on: `datetime.now`.
        case ast.Attribute(attr=name) | ast.Call(func=ast.Name(id=name)):
            return {name} & IMPURE_NAMES
        case ast.ImportFrom(names=imported):
            return {each.name for each in imported} & IMPURE_NAMES
        # Something may have a time, but nothing may be asked for the time.
        case ast.Call(func=ast.Attribute(attr="time")):
            return {"time"}
    return set()


def the_domain_calculates_exactly(module: Module) -> list[str]:
    """No binary floating point where masses and money are calculated."""
    if module.part != "domain":
        return []
    return [
        f"{module.name}:{node.lineno} uses a float"
        for node in nodes_of(module)
        if (isinstance(node, ast.Constant) and isinstance(node.value, (float, complex)))
        or (isinstance(node, ast.Name) and node.id == "float")
    ]


def sql_stays_in_storage(module: Module) -> list[str]:
    """No statement in a string elsewhere; what documentation says is not meant."""
    if module.part == "storage":
        return []
    nodes = nodes_of(module)
    documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return [
        f"{module.name}:{node.lineno} speaks SQL"
        for node in nodes
        if id(node) not in documentation and SQL.search(text_of(node))
    ]


def files_are_about_one_thing(module: Module) -> list[str]:
    """No file has over 500 lines."""
    lines = len(module.source.splitlines())
    return [f"{module.name} has {lines} lines"] if lines > FILE_LINES_MAX else []


def functions_fit_on_a_screen(module: Module) -> list[str]:
    """No function has over 60 lines, its docstring included."""
    return [
        f"{module.name}:{node.lineno} {node.name} has {lines} lines"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]


RULES: list[Rule] = [
    imports_point_one_way,
    every_part_has_its_place,
    the_domain_imports_the_standard_library_only,
    the_domain_reads_no_clock_environment_file_or_randomness,
    the_domain_calculates_exactly,
    sql_stays_in_storage,
    files_are_about_one_thing,
    functions_fit_on_a_screen,
]

# --- Reading source ---


def nodes_of(module: Module) -> list[ast.expr | ast.stmt]:
    """Everything in a module that stands on a line of it."""
    return [node for node in ast.walk(module.tree) if isinstance(node, ast.expr | ast.stmt)]


def imports_of(module: Module) -> Iterator[str]:
    """Full names of what a module imports, wherever in it and however it is written."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(names=names):
                origin = _origin(module, node)
                # `from tonne import settings` imports tonne.settings; `from tonne import __version__` just tonne.
                submodules = [each.name for each in names if origin == "tonne" and each.name in PARTS]
                yield from (f"{origin}.{name}" for name in submodules)
                if len(submodules) < len(names):
                    yield origin
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def _origin(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    above = node.level - 1 if module.is_package else node.level
    package = module.name.split(".")[: -above or None]
    return ".".join([*package, *([node.module] if node.module else [])])


def part_of(name: str) -> str:
    return Module(name, "").part if name.split(".", maxsplit=1)[0] == "tonne" else name


def text_of(node: ast.AST) -> str:
    """The text of a string, of parts filled in or added up as far as it is known."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
            return text_of(left) + text_of(right)
        case ast.FormattedValue():
            return "{}"
    return ""


# --- The rules hold ---


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule_that(rule: Rule) -> None:
    assert [broken for module in modules() for broken in rule(module)] == []


def test_the_package_is_read_whole() -> None:
    names = {module.name for module in modules()}
    assert {
        "tonne",
        "tonne.main",
        "tonne.domain",
        "tonne.domain.pricing",
        "tonne.http.routes.orders",
    } <= names
    assert {module.part for module in modules()} >= {
        "main",
        "http",
        "cli",
        "application",
        "storage",
        "domain",
    }


def test_the_domain_is_seen_to_import_and_storage_to_speak_sql() -> None:
    by_name = {module.name: module for module in modules()}
    assert "tonne.domain.pricing" in set(imports_of(by_name["tonne.domain.purchase"]))
    assert sql_stays_in_storage(Module("tonne.http.orders", by_name["tonne.storage.orders"].source))


# --- The rules notice ---


@pytest.mark.parametrize(
    ("name", "source"),
    [
        # Upwards.
        ("tonne.domain.pricing", "from tonne.storage.orders import insert_orders"),
        ("tonne.domain.pricing", "import tonne.application.quote"),
        ("tonne.storage.orders", "from tonne.application.quote import quote_estimate"),
        ("tonne.application.quote", "from tonne.http.request import ApiRequest"),
        ("tonne.http.app", "from tonne.main import create_app"),
        ("tonne.cli.serve", "from tonne.main import create_app"),
        ("tonne.cli.serve", "from tonne import main"),
        ("tonne.cli.serve", "import tonne.__main__"),
        # Between neighbours.
        ("tonne.http.app", "from tonne.cli.serve import serve"),
        ("tonne.http.app", "from tonne.web.pages import page"),
        ("tonne.cli.serve", "from tonne.http.app import create_api"),
        ("tonne.storage.estimates", "from tonne.estimates.electricity import EnergyUnit"),
        ("tonne.webhooks.signing", "from tonne.storage.database import Connection"),
        ("tonne.main", "import tonne.__main__"),
        # Settings are read where the service is started.
        ("tonne.http.app", "from tonne.settings import Settings"),
        ("tonne.http.app", "from tonne import settings"),
        ("tonne.storage.database", "from tonne.settings import read_settings"),
        ("tonne.application.quote", "from tonne.logs import configure_logging"),
        ("tonne.settings", "from tonne.domain.mass import MassUnit"),
        ("tonne.settings", "from tonne.logs import configure_logging"),
        # The client stands alone, and the package imports none of its parts.
        ("tonne.client.api", "from tonne.domain.mass import MassUnit"),
        ("tonne.cli.orders", "from tonne.client.api import Client"),
        ("tonne", "from tonne.main import create_app"),
        # However it is written.
        ("tonne.domain.pricing", "def price():\n    from tonne.storage import orders"),
        ("tonne.domain.pricing", "if TYPE_CHECKING:\n    from tonne.storage.orders import Row"),
        ("tonne.domain.pricing", "from ..storage import orders"),
        ("tonne.domain.pricing", "from ..storage.orders import insert_orders"),
        ("tonne.http.routes.orders", "from ...cli import serve"),
        ("tonne.domain.pricing", "import tonne.storage.orders as rows"),
        ("tonne.domain.pricing", "importlib.import_module('tonne.storage.orders')"),
        ("tonne.domain.pricing", "__import__('tonne.storage')"),
    ],
)
def test_an_import_against_the_arrows_is_noticed(name: str, source: str) -> None:
    assert len(imports_point_one_way(Module(name, source))) == 1


def test_a_relative_import_of_a_package_is_read_from_the_package() -> None:
    package = Module("tonne.domain", "from ..storage import orders\nfrom . import mass", is_package=True)
    assert list(imports_of(package)) == ["tonne.storage", "tonne.domain"]
    assert imports_point_one_way(package) == ["tonne.domain imports tonne.storage"]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tonne.main", "from tonne.http.app import create_api\nfrom tonne.domain.mass import Mass"),
        ("tonne.main", "from tonne.settings import Settings\nfrom tonne.logs import configure_logging"),
        ("tonne.__main__", "from tonne.cli.main import main"),
        (
            "tonne.cli.serve",
            "from tonne.settings import Settings\nfrom tonne.storage.schema import upgrade_schema",
        ),
        ("tonne.cli.serve", "uvicorn.run('tonne.main:create_app', factory=True)"),
        ("tonne.http.app", "from tonne.application.quote import quote_estimate\nimport tonne"),
        ("tonne.http.app", "from tonne.storage.snapshot import Snapshot\nfrom tonne.domain.mass import Mass"),
        ("tonne.wire.orders", "from tonne.wire.common import Id\nfrom .common import Amount"),
        ("tonne.http.documentation", "from tonne import __version__"),
        ("tonne.http.app", "from litestar import Litestar\nimport tonneau"),
        ("tonne.application.quote", "from tonne.storage.orders import find_order"),
        ("tonne.storage.orders", "from tonne.domain.orders import Order\nfrom . import database"),
        ("tonne.client.api", "import httpx\nfrom tonne.client.errors import ApiError\nimport tonne"),
    ],
)
def test_an_import_along_the_arrows_is_fine(name: str, source: str) -> None:
    assert imports_point_one_way(Module(name, source)) == []


@pytest.mark.parametrize("name", ["tonne.helpers", "tonne.utils.dates"])
def test_a_part_without_a_place_is_noticed(name: str) -> None:
    assert len(every_part_has_its_place(Module(name, ""))) == 1


@pytest.mark.parametrize(
    "name", ["tonne", "tonne.main", "tonne.http.routes.orders", "tonne.webhooks.signing"]
)
def test_a_part_with_a_place_is_fine(name: str) -> None:
    assert every_part_has_its_place(Module(name, "")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import msgspec",
        "import iso4217",
        "from litestar import get",
        "import os",
        "import os.path",
        "from os import environ",
        "import time",
        "from time import monotonic",
        "import random",
        "import secrets",
        "from pathlib import Path",
        "import asyncio",
        "from tonne.storage.currencies import find_currency",
        "import tonne",
        "def now():\n    import time",
    ],
)
def test_a_domain_that_imports_more_than_rules_need_is_noticed(source: str) -> None:
    assert len(the_domain_imports_the_standard_library_only(Module("tonne.domain.orders", source))) == 1
    assert the_domain_imports_the_standard_library_only(Module("tonne.storage.orders", source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "from decimal import Decimal\nfrom tonne.domain.mass import Mass\nfrom uuid import UUID",
        "from datetime import datetime\nfrom http import HTTPStatus\nimport hashlib",
        "from . import mass\nfrom .mass import Mass",
    ],
)
def test_a_domain_that_imports_rules_and_the_standard_library_is_fine(source: str) -> None:
    assert the_domain_imports_the_standard_library_only(Module("tonne.domain.orders", source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "at = datetime.now(UTC)",
        "at = datetime.utcnow()",
        "day = date.today()",
        "day = datetime.date.today()",
        "clock: Callable = datetime.now",
        "at = clock.time()",
        "at = monotonic()",
        "order_id = uuid4()",
        "order_id = uuid.uuid4()",
        "field(default_factory=uuid.uuid4)",
        "table = open('factors.csv')",
        "table = path.open()",
        "table = path.read_text()",
        "key = os.urandom(32)",
        "answer = input()",
        "@dataclass\nclass Order:\n    at: datetime = field(default_factory=datetime.now)",
    ],
)
def test_a_domain_that_reads_clock_file_or_randomness_is_noticed(source: str) -> None:
    rule = the_domain_reads_no_clock_environment_file_or_randomness
    assert len(rule(Module("tonne.domain.orders", source))) == 1
    assert rule(Module("tonne.application.orders", source)) == []


def test_a_domain_that_imports_randomness_by_name_is_noticed() -> None:
    rule = the_domain_reads_no_clock_environment_file_or_randomness
    assert len(rule(Module("tonne.domain.orders", "from uuid import UUID, uuid4"))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def cancel(order, *, at: datetime): return replace(order, cancelled_at=at)",
        "opened = order.opened\nis_open = True\ntime = order.time",
        "'''Read the clock with datetime.now and open a file.'''",
        "def pay(order, now): return replace(order, paid_at=now)",
    ],
)
def test_a_domain_that_is_told_times_and_ids_is_fine(source: str) -> None:
    rule = the_domain_reads_no_clock_environment_file_or_randomness
    assert rule(Module("tonne.domain.orders", source)) == []


@pytest.mark.parametrize(
    "source", ["rate = 0.1", "x = float('0.1')", "def f(x: float): ...", "y = 1e3", "z = 2j"]
)
def test_a_float_in_the_domain_is_noticed(source: str) -> None:
    assert len(the_domain_calculates_exactly(Module("tonne.domain.pricing", source))) == 1
    assert the_domain_calculates_exactly(Module("tonne.http.rate_limits", source)) == []


@pytest.mark.parametrize("source", ["rate = Decimal('0.1')", "n = 10**6", "part = Fraction(1, 3)", "'0.1'"])
def test_exact_numbers_are_fine(source: str) -> None:
    assert the_domain_calculates_exactly(Module("tonne.domain.pricing", source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "q = 'SELECT * FROM orders'",
        "q = '''\n    SELECT order_id\n      FROM orders\n'''",
        "q = 'INSERT INTO orders VALUES ($1)'",
        "q = 'INSERT  INTO orders'",
        "q = 'UPDATE orders SET status = $1'",
        "q = 'DELETE FROM orders'",
        "q = 'WITH paid AS (SELECT 1 FROM orders) TABLE paid'",
        "q = 'select * from orders'",
        "q = 'update orders set status = 1'",
        "q = '  insert into orders values (1)'",
        "q = f'SELECT {columns} FROM orders'",
        "q = f'UPDATE {table} SET status = 1'",
        "q = 'SELECT ' + columns + ' FROM orders'",
        "q = 'SELECT %s ' 'FROM orders' % columns",
        "run(connection.fetch('SELECT 1 FROM orders'))",
    ],
)
def test_sql_outside_storage_is_noticed(source: str) -> None:
    assert sql_stays_in_storage(Module("tonne.http.routes.orders", source)) != []
    assert sql_stays_in_storage(Module("tonne.storage.orders", source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "'''SELECT order_id FROM orders'''",
        "def f():\n    '''UPDATE orders SET status.'''",
        "message = 'Choose a bundle from GET /v1/bundles and update your selection.'",
        "message = 'Selected bundles come from the catalogue.'",
        "message = 'The offset of an update is set by the operator.'",
        "message = 'SELECTION'\nother = 'FROM'",
    ],
)
def test_prose_is_no_sql(source: str) -> None:
    assert sql_stays_in_storage(Module("tonne.http.routes.orders", source)) == []


@pytest.mark.parametrize(("lines", "is_too_long"), [(500, False), (501, True)])
def test_a_file_has_at_most_500_lines(lines: int, is_too_long: bool) -> None:  # noqa: FBT001
    assert bool(files_are_about_one_thing(Module("tonne.main", "x = 1\n" * lines))) == is_too_long


@pytest.mark.parametrize(("lines", "is_too_long"), [(60, False), (61, True)])
@pytest.mark.parametrize("head", ["def f():", "async def f():", "@cache\ndef f():"])
def test_a_function_has_at_most_60_lines(head: str, lines: int, is_too_long: bool) -> None:  # noqa: FBT001
    source = head + "\n" + "    x = 1\n" * (lines - 1)
    assert bool(functions_fit_on_a_screen(Module("tonne.main", source))) == is_too_long


def test_a_function_inside_a_class_or_a_function_is_measured_too() -> None:
    body = "        x = 1\n" * 60
    assert len(functions_fit_on_a_screen(Module("tonne.main", "class C:\n    def f(self):\n" + body))) == 1
    assert len(functions_fit_on_a_screen(Module("tonne.main", "def g():\n    def f():\n" + body))) == 2
