"""gameday rehearses the revocation of an AWS KMS key, and always puts it back."""

__version__ = "0.1.0"
