"""A certificate for loopback and the authority that signed it; the only user of cryptography.

The authority's key is never stored: it can sign nothing else, and its own certificate says
that it is for the names of the emulator alone.
"""

import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
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
_OWN = (_HOST, "127.0.0.1")


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


def certificate_in(folder: Path, hosts: Sequence[str] = ()) -> Certificate:
    """Return the certificate in a folder; make it if there is none that is good for a while.

    Args:
        folder: where it is, or is made.
        hosts: the names and addresses that it is for, beside those of loopback.
    """
    names = [_general_name(host) for host in (*_OWN, *hosts)]
    files = Certificate(*(folder / name for name in ("ca.pem", "bundle.pem", "tls.pem", "tls.key")))
    if not _is_good(files, names):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(files, names)
    files.bundle.write_bytes(files.authority.read_bytes() + _machines_bundle())
    return files


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host.lower())


def _is_good(files: Certificate, names: Sequence[x509.GeneralName]) -> bool:
    if not all(path.is_file() for path in (files.authority, files.chain, files.key)):
        return False
    certificate = x509.load_pem_x509_certificate(files.chain.read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    is_new = certificate.not_valid_after_utc - datetime.now(UTC) > _RENEWAL
    return is_new and set(found) == set(names)


def _make(files: Certificate, names: Sequence[x509.GeneralName]) -> None:
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _authority(authority_key, names)
    certificate = _listener(authority, authority_key, key, names)
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


def _subtree(name: x509.GeneralName) -> x509.GeneralName:
    """Return what permits a name, and nothing but it, to an authority."""
    is_address = isinstance(name, x509.IPAddress)
    return x509.IPAddress(ip_network(name.value)) if is_address else name


def _authority(
    key: ec.EllipticCurvePrivateKey, names: Sequence[x509.GeneralName]
) -> x509.Certificate:
    constraints = x509.NameConstraints(
        permitted_subtrees=[_subtree(name) for name in names], excluded_subtrees=None
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
    names: Sequence[x509.GeneralName],
) -> x509.Certificate:
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
