"""Faults: one file each; what breaks, and how it is mended."""
