"""Putting things back: the hands for undo steps, and a driver of the machine's rollback part."""
