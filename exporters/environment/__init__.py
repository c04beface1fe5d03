"""Exporters that a variable of the environment switches on, a file each: a CI says so by itself what it can show."""
