"""Keys and certificates of an emulator: its authority, what it serves TLS with, and what clients sign in with.

The authority is made once and kept with the state, so that clients need not be configured again. It is good
for this machine's own names alone (RFC 5280, 4.2.1.10): whoever trusts it and loses the state directory has lost
nothing but loopback. The server's certificate lives for a day and is never on disk for longer than it takes to load.
"""

import ipaddress
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from reconciler.emulator.config import vaults

NAMES = ("localhost",)
ADDRESSES = ("127.0.0.1",)
# The server's own besides; whoever may vouch for `localhost` may for what is below it.
VAULTS = (f"*.{vaults.DOMAIN}",)

# Neither is renewed: a state directory does not get that old.
_AUTHORITY_LIVES = timedelta(days=3650)
_CLIENT_LIVES = timedelta(days=3650)
_SERVER_LIVES = timedelta(days=1)
_RENEWED_BEFORE = timedelta(hours=12)
# A client's clock may be behind.
_BACKDATED = timedelta(hours=1)

Clock = Callable[[], datetime]
ServerKey = ec.EllipticCurvePrivateKey
ClientKey = rsa.RSAPrivateKey


def utc_now() -> datetime:
    """Return the machine's time, by which TLS clients judge a certificate, whatever an emulator's own clock says."""
    return datetime.now(UTC)


def new_rsa_key() -> str:
    """Return a fresh key for signing JWTs, in PEM: Entra knows RSA alone."""
    return _pem(_new_client_key())


def rsa_key(pem: str) -> ClientKey:
    """Return the key in a PEM text of `new_rsa_key` or `new_client_certificate`."""
    # Not checked: the key was made here and lies in the emulator's own state, and a check takes most of a start's time.
    key = load_pem_private_key(pem.encode("ascii"), password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("not an RSA key")
    return key


def new_client_certificate(client_id: str) -> str:
    """Return a key and a certificate that it signs itself, in PEM, for a principal to sign in with."""
    key = _new_client_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, client_id)])
    certificate = _builder(name, name, key.public_key(), utc_now(), _CLIENT_LIVES).sign(key, hashes.SHA256())
    return _pem(key) + _text(certificate)


def certificate_in(pem: str) -> x509.Certificate:
    """Return the first certificate of a PEM text."""
    return x509.load_pem_x509_certificate(pem.encode("ascii"))


def new_authority() -> str:
    """Return a certificate authority for loopback: its key and its certificate, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Local Studio (this machine only)")])
    loopback = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]
    permitted = [*map(x509.DNSName, NAMES), *map(x509.IPAddress, loopback)]
    certificate = (
        _builder(name, name, key.public_key(), utc_now(), _AUTHORITY_LIVES)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(key) + _text(certificate)


class ServerTls:
    """What a server needs to speak TLS, with a certificate that is renewed at a handshake when its time comes.

    Args:
        authority: PEM of `new_authority`.
        clock: The time now.
    """

    def __init__(self, authority: str, clock: Clock = utc_now) -> None:
        key = load_pem_private_key(authority.encode("ascii"), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("not the key of an authority of this kind")
        self._key = key
        self._certificate = certificate_in(authority)
        self._clock = clock
        self._renew_at, self._current = self._fresh()
        # The context that the server keeps; each handshake takes the current one.
        self.context = self._current
        self.context.sni_callback = self._at_handshake

    @property
    def authority(self) -> str:
        """The authority's certificate in PEM, for clients to trust."""
        return _text(self._certificate)

    def _at_handshake(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # Called at every handshake, with a server name or without one.
        if self._clock() >= self._renew_at:
            self._renew_at, self._current = self._fresh()
        connection.context = self._current

    def _fresh(self) -> tuple[datetime, ssl.SSLContext]:
        now = self._clock()
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
        names = [
            *map(x509.DNSName, NAMES + VAULTS),
            *(x509.IPAddress(ipaddress.ip_address(each)) for each in ADDRESSES),
        ]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(subject, self._certificate.subject, key.public_key(), now, _SERVER_LIVES)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory(prefix="studio-tls-") as directory:
            # The directory is its owner's alone; a context takes a chain from a file, not from memory.
            chain = Path(directory) / "server.pem"
            chain.write_text(_pem(key) + _text(certificate), encoding="ascii")
            context.load_cert_chain(chain)
        return now + _SERVER_LIVES - _RENEWED_BEFORE, context


def _new_client_key() -> ClientKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
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


def _pem(key: ServerKey | ClientKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
