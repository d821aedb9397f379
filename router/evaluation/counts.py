"""How often one part of the answers differed."""

import msgspec

from router.statistics import PairedTable


class Counts(msgspec.Struct, kw_only=True):
    """Pairs by what differed from the primary's answer; those `alone` had no twin to compare."""

    both: int = 0
    shadow_only: int = 0
    twin_only: int = 0
    neither: int = 0
    alone_differing: int = 0
    alone_same: int = 0

    def add(self, shadow_differs: bool, twin_differs: bool | None) -> None:
        """Count a pair; None: it has no twin to compare."""
        match shadow_differs, twin_differs:
            case True, True:
                self.both += 1
            case True, False:
                self.shadow_only += 1
            case False, True:
                self.twin_only += 1
            case False, False:
                self.neither += 1
            case True, None:
                self.alone_differing += 1
            case _:
                self.alone_same += 1

    @property
    def table(self) -> PairedTable:
        """The pairs that have a twin, as statistics reads them: the shadow first."""
        return PairedTable(
            both=self.both,
            first_only=self.shadow_only,
            second_only=self.twin_only,
            neither=self.neither,
        )

    @property
    def twins(self) -> int:
        """Pairs with a twin."""
        return self.both + self.shadow_only + self.twin_only + self.neither

    @property
    def twins_differing(self) -> int:
        """Pairs whose twin differs."""
        return self.both + self.twin_only

    @property
    def pairs(self) -> int:
        """All pairs."""
        return self.twins + self.alone_differing + self.alone_same

    @property
    def differing(self) -> int:
        """Pairs whose shadow differs."""
        return self.both + self.shadow_only + self.alone_differing
