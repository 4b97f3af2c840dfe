"""A certificate for loopback and the authority that signed it; the only user of cryptography.

The authority's key is never stored: it can sign nothing else, and its own certificate says
that it is for loopback alone.
"""

import os
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = timedelta(days=397)
_RENEWAL = timedelta(days=30)
_SKEW = timedelta(minutes=5)
_HOST = "localhost"
_ADDRESS = "127.0.0.1"


class Certificate(NamedTuple):
    """The files of a TLS listener.

    Attributes:
        authority: what clients have to trust.
        bundle: the authority together with those that the machine trusts.
        chain: the listener's certificate.
        key: its private key, readable by its owner alone.
    """

    authority: Path
    bundle: Path
    chain: Path
    key: Path


def certificate_in(folder: Path) -> Certificate:
    """Return the certificate in a folder; make it if there is none, or if it expires soon."""
    files = Certificate(*(folder / name for name in ("ca.pem", "bundle.pem", "tls.pem", "tls.key")))
    if not _is_good(files):
        folder.mkdir(parents=True, exist_ok=True)
        _make(files)
    files.bundle.write_bytes(files.authority.read_bytes() + _machines_bundle())
    return files


def _is_good(files: Certificate) -> bool:
    if not all(path.is_file() for path in (files.authority, files.chain, files.key)):
        return False
    certificate = x509.load_pem_x509_certificate(files.chain.read_bytes())
    return certificate.not_valid_after_utc - datetime.now(UTC) > _RENEWAL


def _make(files: Certificate) -> None:
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _authority(authority_key)
    certificate = _listener(authority, authority_key, key)
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_secret(files.key, key)


def _write_secret(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.unlink(missing_ok=True)
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(content)


def _machines_bundle() -> bytes:
    """Return the certificates of the machine's own bundle, if it has one."""
    paths = ssl.get_default_verify_paths()
    # Debian keeps its bundle among the single certificates.
    places = (Path(paths.openssl_cafile), Path(paths.openssl_capath) / "ca-certificates.crt")
    return next((place.read_bytes() for place in places if place.is_file()), b"")


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    constraints = x509.NameConstraints(
        permitted_subtrees=[
            x509.DNSName(_HOST),
            x509.IPAddress(IPv4Network(f"{_ADDRESS}/32")),
        ],
        excluded_subtrees=None,
    )
    name = _name("Azure on the laptop: development authority")
    return (
        _begin(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(constraints, critical=True)
        .sign(key, hashes.SHA256())
    )


def _listener(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    names = [x509.DNSName(_HOST), x509.IPAddress(IPv4Address(_ADDRESS))]
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        _begin(_name(_HOST), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(purpose, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
