"""Tallybook: a self-hosted usage book for AI platforms."""

__version__ = "0.1.0"
