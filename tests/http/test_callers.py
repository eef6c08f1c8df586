from __future__ import annotations

import http.client
from support import Service


def test_a(service: Service) -> None:
    assert http.client.HTTPConnection
    with service.client() as client:
        assert client.get("/bundles").status_code == 200
