"""Dead man's switches: what makes a call from the cloud when nobody is left to make it."""
