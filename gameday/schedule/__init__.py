"""Game days on a calendar: when they are due, who runs each of them, and what becomes of those that nobody ran."""
