"""Encrypt an instance's root volume with a key; see ``fault`` for the whole, and the other files for its steps."""

from gameday.faults.ec2_encrypt_root_volume.fault import EncryptRootVolume

__all__ = ["EncryptRootVolume"]
