"""Settings, read once from the environment. A command line option wins over its variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

CHOICES = {
    "log_format": ("console", "json"),
    "background_work": ("on", "off"),
    "webhook_allow_http": ("on", "off"),
}
EVENTS_KEPT_DAYS_MIN = 30


class SettingInvalid(Exception):
    """A setting can't be what it is set to; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service is told from outside; each is the variable TONNE_<NAME IN CAPITALS>.

    `database_url` None means the embedded PostgreSQL below `data_dir`. `rate_limit_per_second` is the default of
    keys that have none of their own. `log_format` is console or json. `public_url` is the address that is shown to
    users; without it, the one served on. `background_work` off leaves retirement to `tonne worker`. Certificates
    are signed with the key in `signing_key_file` (PKCS#12), else with one that is made below `data_dir` on first use, in
    the name of `operator_name`. `trusted_proxies` are networks, separated by commas: only a peer in them is believed
    whose requests it passes on (X-Forwarded-For).

    Secrets of webhooks are encrypted with `secrets_key`, or the one in `secrets_key_file`, or else one that is made below
    `data_dir` on first use: URL-safe base64 of 32 bytes; of several, separated by commas, the first encrypts and all decrypt.
    Events are delivered to public addresses by https; `webhook_allow_http` on and `webhook_allowed_networks` allow others.
    """

    data_dir: Path = Path("tonne-data")
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    public_url: str | None = None
    rate_limit_per_second: int = 15
    database_connections: int = 10
    log_format: str = "console"
    background_work: str = "on"
    signing_key_file: Path | None = None
    signing_key_passphrase: str | None = None
    operator_name: str = "Tonne"
    trusted_proxies: str = ""
    secrets_key: str | None = None
    secrets_key_file: Path | None = None
    webhook_allow_http: str = "off"
    webhook_allowed_networks: str = ""
    webhook_timeout_seconds: int = 30
    events_kept_days: int = EVENTS_KEPT_DAYS_MIN

    @property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `trusted_proxies`."""
        return _networks(self.trusted_proxies)

    @property
    def webhook_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `webhook_allowed_networks`."""
        return _networks(self.webhook_allowed_networks)

    @property
    def base_url(self) -> str:
        """What links begin with, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingInvalid: a number that is not one, or is out of range.
    """
    given: dict[str, object] = {}
    for setting in fields(Settings):
        text = environment.get(f"TONNE_{setting.name.upper()}")
        if text:
            given[setting.name] = _read(setting.name, str(setting.type), text)
    settings = Settings(**given)  # type: ignore[arg-type]
    # Read now, so that a mistake is said at the start.
    for name in ("trusted_proxies", "webhook_allowed_networks"):
        try:
            _networks(getattr(settings, name))
        except ValueError as error:
            msg = f"TONNE_{name.upper()} must be networks such as 192.0.2.0/24, separated by commas: {error}"
            raise SettingInvalid(msg) from None
    if settings.events_kept_days < EVENTS_KEPT_DAYS_MIN:
        msg = f"TONNE_EVENTS_KEPT_DAYS must be {EVENTS_KEPT_DAYS_MIN} or more; it is {settings.events_kept_days}"
        raise SettingInvalid(msg)
    return settings


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _read(name: str, kind: str, text: str) -> object:
    if kind.startswith("Path"):
        return Path(text)
    if name in CHOICES and text not in CHOICES[name]:
        msg = f"TONNE_{name.upper()} must be one of {', '.join(CHOICES[name])}; it is {text!r}"
        raise SettingInvalid(msg)
    if kind != "int":
        return text
    if not (text.isascii() and text.isdigit()) or int(text) < (0 if name == "port" else 1):
        msg = f"TONNE_{name.upper()} must be a whole number, 1 or more; it is {text!r}"
        raise SettingInvalid(msg)
    return int(text)
