"""The certificate that kube-apiserver shows to extension servers, and how its authority is replaced while all runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from e2e.rig.pki import Authority, PairFiles, replace_file


class FrontProxy:
    """kube-apiserver reads these files again when they change, and publishes the authorities in a ConfigMap.

    To replace the authority without a gap: `trust_also(new)`, wait until extension servers know it, `sign_with(new)`, and
    `trust_only(new)` last.
    """

    USER: Final = "front-proxy-client"

    def __init__(self, folder: Path) -> None:
        self.authority = Authority("e2e-front-proxy-ca")
        self.authority_file = folder / "front-proxy-ca.crt"
        self.files = PairFiles(certificate=folder / "front-proxy.crt", key=folder / "front-proxy.key")
        self.trust_only(self.authority)
        self.sign_with(self.authority)

    def trust_also(self, authority: Authority) -> None:
        """Add an authority to those that are published."""
        replace_file(self.authority_file, self.authority_file.read_bytes() + authority.pem)

    def trust_only(self, authority: Authority) -> None:
        """Publish one authority (kube-apiserver keeps old ones in the ConfigMap beside it)."""
        replace_file(self.authority_file, authority.pem)

    def sign_with(self, authority: Authority) -> None:
        """Show a certificate of this authority from now on."""
        self.files.write(authority.client(self.USER))
        self.authority = authority
