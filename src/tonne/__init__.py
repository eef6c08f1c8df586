"""Tonne sells carbon offsets through an API: quote, order, allocate, retire, prove."""

__version__ = "0.1.0"
