"""The report of a run: one model, made from the events alone, and the ways to write it down."""
