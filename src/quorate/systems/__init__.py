"""Protocols composed into services that people use."""
