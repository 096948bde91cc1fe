"""Whether a host has signed for a connection: the signature over the identifier of an SSH session, by the host's key.

Left out: keys on hardware, host certificates and signatures by SHA-1: what is not understood is not signed. Sources:
RFC 8709, RFC 8332, RFC 5656 section 3.1.2.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from interlock.key_agent.wire import MalformedMessage, Reader

if TYPE_CHECKING:
    from interlock.key_agent.wire import Binding

_BY_RSA: Final = {b"rsa-sha2-256": "SHA256", b"rsa-sha2-512": "SHA512"}
_BY_CURVE: Final = {
    b"ecdsa-sha2-nistp256": "SHA256",
    b"ecdsa-sha2-nistp384": "SHA384",
    b"ecdsa-sha2-nistp521": "SHA512",
}


def is_signed(binding: Binding) -> bool:
    """Whether the binding is the host's own word."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        _check(binding)
    except (InvalidSignature, UnsupportedAlgorithm, MalformedMessage, ValueError):
        return False
    return True


def _check(binding: Binding) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    kind = Reader(binding.host_key).string()
    reader = Reader(binding.signature)
    algorithm, signature = reader.string(), reader.string()
    reader.end()
    key = load_ssh_public_key(kind + b" " + b64encode(binding.host_key))
    if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == kind:
        key.verify(signature, binding.session)
    elif isinstance(key, rsa.RSAPublicKey) and algorithm in _BY_RSA:
        key.verify(signature, binding.session, padding.PKCS1v15(), getattr(hashes, _BY_RSA[algorithm])())
    elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm == kind and kind in _BY_CURVE:
        parts = Reader(signature)
        first, second = (int.from_bytes(parts.string(), "big", signed=True) for _ in range(2))
        parts.end()
        encoded = utils.encode_dss_signature(first, second)
        key.verify(encoded, binding.session, ec.ECDSA(getattr(hashes, _BY_CURVE[kind])()))
    else:
        raise MalformedMessage("a signature that is not understood")
