"""KMS' half of the contact with moto: keys, their material, ciphertexts, and replicas."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, cast

from .shapes import Key, KmsBackend

if TYPE_CHECKING:
    from collections.abc import Callable

HASHES = {"RSAES_OAEP_SHA_1": "SHA1", "RSAES_OAEP_SHA_256": "SHA256", "RSA_AES_KEY_WRAP_SHA_1": "SHA1"}
HASHES["RSA_AES_KEY_WRAP_SHA_256"] = "SHA256"
CURVES = {
    "ECC_NIST_P256": "SECP256R1",
    "ECC_NIST_P384": "SECP384R1",
    "ECC_NIST_P521": "SECP521R1",
    "ECC_SECG_P256K1": "SECP256K1",
}


class MotoKeys:
    """What ``MotoWorld`` does about KMS keys."""

    _get_backend: Callable[[str], Any]

    def keys_with_id(self, key_id: str) -> list[Key]:
        """A multi-Region key in all its Regions."""
        return [key for backend in self._kms_backends() if (key := backend.keys.get(key_id)) is not None]

    def _kms_backends(self) -> list[KmsBackend]:
        return list(self._get_backend("kms")["123456789012"].values())

    def encrypt(self, region: str, key: Key, plain: bytes, context: dict[str, str]) -> bytes:
        """A ciphertext of KMS."""
        blob, _arn = self._get_backend("kms")["123456789012"][region].encrypt(key.id, plain, context)
        return cast(bytes, blob)

    def metadata(self, key: Key) -> dict[str, Any]:
        """What moto's DescribeKey says."""
        return cast("dict[str, Any]", cast(Any, key).to_dict()["KeyMetadata"])

    def replicate(self, key: Key, region: str, policy: str, description: str) -> Key:
        """A replica: the same id and material, everything else its own."""
        made = cast(Any, copy(key))
        made.region, made.arn = region, key.arn.replace(f":{key.region}:", f":{region}:")
        made.grants, made.aliases, made.description = {}, {}, description
        made.policy = policy or made.generate_default_policy()
        made.key_state, made.enabled, made.deletion_date = "Enabled", True, None
        self._get_backend("kms")["123456789012"][region].keys[made.id] = made
        return cast(Key, made)

    def forget_key(self, key: Key) -> None:
        """Its waiting period is over."""
        self._get_backend("kms")["123456789012"][key.region].keys.pop(key.id, None)

    def wrapping_key(self, spec: str) -> tuple[Any, bytes]:
        """A fresh RSA key to wrap material with, and its public half in DER."""
        from cryptography.hazmat.primitives.asymmetric import rsa

        made = rsa.generate_private_key(65537, int((spec or "RSA_2048").rsplit("_", 1)[-1]))
        return made, _public(made)

    def unwrapped(self, wrapping: Any, algorithm: str, blob: bytes) -> bytes | None:
        """Material as it was before it was wrapped; None when it was wrapped otherwise."""
        from cryptography.hazmat.primitives import hashes, keywrap
        from cryptography.hazmat.primitives.asymmetric import padding

        if algorithm not in HASHES:
            return None
        chosen = getattr(hashes, HASHES[algorithm])()
        oaep = padding.OAEP(padding.MGF1(chosen), chosen, None)
        size = wrapping.key_size // 8
        try:
            first = wrapping.decrypt(blob[:size], oaep)
            if not algorithm.startswith("RSA_AES"):
                return cast(bytes, first) if len(blob) == size else None
            return keywrap.aes_key_unwrap_with_padding(first, blob[size:])
        except (ValueError, keywrap.InvalidUnwrap):
            return None

    def key_pair(self, spec: str) -> tuple[bytes, bytes] | None:
        """A private key (PKCS #8) and its public key, in DER; None for a spec that the lab cannot make."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        made: Any
        if spec.startswith("RSA_"):
            made = rsa.generate_private_key(65537, int(spec.rsplit("_", 1)[-1]))
        elif spec in CURVES:
            made = ec.generate_private_key(getattr(ec, CURVES[spec])())
        else:
            return None
        kind = serialization.PrivateFormat.PKCS8
        plain = made.private_bytes(serialization.Encoding.DER, kind, serialization.NoEncryption())
        return plain, _public(made)


def _public(made: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return cast(bytes, made.public_key().public_bytes(serialization.Encoding.DER, kind))
