"""Driving a run: preflight, looks, the control thread, and the main thread that waits for signals."""
