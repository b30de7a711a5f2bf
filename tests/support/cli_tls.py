"""TLS for a server on the loopback address, for tests of the command line."""

import ssl
from pathlib import Path

# For localhost and 127.0.0.1, and signed by itself. Nobody trusts it but these tests.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUYUiFVxOhdky8HdPuEiKAP6MBpAgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNTIwNTc0OVoYDzIxMjYxMTAx
MjA1NzQ5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASR4vKe1AUEzyT1s0qrp7dKjMQxwl74LXCdsSjZItxk5WKdBOxDbncS
L9h9Mrr+PVGx7HWmvuESnpU4k8uDmJJbo28wbTAdBgNVHQ4EFgQUiZ1nZWQXraJ+
LeJHqzIjyJ5toWQwHwYDVR0jBBgwFoAUiZ1nZWQXraJ+LeJHqzIjyJ5toWQwGgYD
VR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
zj0EAwIDRwAwRAIgUHHFFCItE0yfbo8Om37ZLKHFUiGhd1WuMGGlw+xyccQCIFZj
AX3YvK6Lhl+05/UPuNdYirfPfrlr/HWJmpKcqsuO
-----END CERTIFICATE-----
"""

KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+dOp3aEwUz5WcaUK
nLEWHc0UAqKyT4QxHpNIXhAcDiWhRANCAASR4vKe1AUEzyT1s0qrp7dKjMQxwl74
LXCdsSjZItxk5WKdBOxDbncSL9h9Mrr+PVGx7HWmvuESnpU4k8uDmJJb
-----END PRIVATE KEY-----
"""


def write_certificate(folder: Path) -> Path:
    """Write the certificate to a file, which is what ``--cafile`` is given."""
    path = folder / "ca.pem"
    path.write_text(CERTIFICATE)
    return path


def server_context(folder: Path) -> ssl.SSLContext:
    """Make a server's context of the certificate and its key."""
    key = folder / "key.pem"
    key.write_text(KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(write_certificate(folder), key)
    return context
