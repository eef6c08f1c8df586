"""Certificates: facts in, PDF bytes out; signing and verifying."""
