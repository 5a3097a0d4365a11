"""Figures beside their limits."""

UNITS = {"s": 1, "ms": 1e-3, "us": 1e-6, "MiB": 1 << 20, "B": 1, "%": 0.01, "/s": 1, "M/s": 1e6,
         "": 1}


def mib(size_bytes):
    return f"{size_bytes / (1 << 20):.0f}"


class Row:
    """One figure. `value` and `limit` are in base units: seconds, bytes, parts of 1."""

    def __init__(self, figure, what, value, unit, most=None, least=None, note=""):
        self.figure, self.what, self.value, self.unit, self.note = figure, what, value, unit, note
        self.most, self.least = most, least

    @property
    def verdict(self):
        if self.value is None:
            return "failed"
        if self.most is None and self.least is None:
            return ""
        good = self.value <= self.most if self.most is not None else self.value >= self.least
        return "ok" if good else "OVER" if self.most is not None else "UNDER"

    def _text(self, value):
        return f"{value / UNITS[self.unit]:.4g} {self.unit}".strip()

    def words(self):
        limit = ("" if self.most is None and self.least is None else
                 "<= " + self._text(self.most) if self.most is not None else
                 ">= " + self._text(self.least))
        measured = "-" if self.value is None else self._text(self.value)
        return (self.figure, self.what, measured, limit, self.verdict, self.note)

    def json(self):
        return {"figure": self.figure, "what": self.what, "value": self.value, "most": self.most,
                "least": self.least, "verdict": self.verdict, "note": self.note}


def table(rows):
    lines = [("", "figure", "measured", "limit", "", ""), *(row.words() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    aligned = [f"{one:<{widths[0]}}  {what:<{widths[1]}}  {measured:>{widths[2]}}  "
               f"{limit:>{widths[3]}}  {verdict:<{widths[4]}}  {note}".rstrip()
               for one, what, measured, limit, verdict, note in lines]
    return "\n".join(aligned)
