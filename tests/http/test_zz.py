from __future__ import annotations
import sys
from tests.conftest import Service, serving
from tests.http.support import X


def test_a() -> None:
    print(sys.modules["tests"].__path__)
