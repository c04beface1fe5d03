"""Stage steps: one file each; resources that a playbook needs."""
