"""Probes: one file each; each looks at one resource and says what it saw."""
