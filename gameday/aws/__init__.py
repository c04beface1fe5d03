"""Speaking to AWS: sessions, the caller's identity, what errors mean, names resolved to ARNs."""
