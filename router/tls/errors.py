"""Why a file of TLS cannot be used."""

from enum import StrEnum
from typing import Final

from router.errors import RouterError


class Part(StrEnum):
    """Which of the files, by its name in the configuration."""

    CERTIFICATE = "certificateFile"
    KEY = "keyFile"
    CLIENT_CA = "clientCaFile"
    CA = "caFile"


class TlsError(RouterError):
    """It names the file and the remedy, and nothing of what is in the file.

    `missing`: the file is not there, which may be so only where the configuration is checked.
    """

    def __init__(self, part: Part, message: str, *, missing: bool = False) -> None:
        super().__init__(f"{part.value}: {message}")
        self.part: Final = part
        self.message: Final = message
        self.missing: Final = missing
