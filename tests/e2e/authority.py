"""Keys and certificates, made with the openssl command."""

import pathlib
import subprocess


def openssl(*arguments, **named):
    return subprocess.run(
        ["openssl", *map(str, arguments)], check=True, capture_output=True, **named
    )


class Authority:
    """Vouches for NAME.pem and NAME.key in a folder; `ca` says whom to trust then.

    Made there once: who asks again for the same gets the same.
    """

    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._name = name
        self.ca = self.folder / f"{name}.pem"
        if self.ca.exists():
            return
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 1),
            *("-subj", f"/CN={name}", "-keyout", self.folder / f"{name}.key", "-out", self.ca),
        )

    def vouch(self, name, alternative, days=1):
        """Paths of certificate and key; `days` below 1: it has expired already."""
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        request, extension = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extension.write_text(f"subjectAltName={alternative}\n")
        openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", key, "-out", request),
        )
        openssl(
            *("x509", "-req", "-days", days, "-in", request, "-CA", self.ca),
            *("-CAkey", self.folder / f"{self._name}.key", "-CAcreateserial"),
            *("-extfile", extension, "-out", certificate),
        )
        return certificate, key
