"""The playbooks that ship with gameday."""
