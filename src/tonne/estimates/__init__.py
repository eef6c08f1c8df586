"""Emission calculators and their factor tables. Every factor has its source."""
