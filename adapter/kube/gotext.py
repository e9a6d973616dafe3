"""How Go prints a text in quotes: error texts that must be Kubernetes' own depend on it."""

from __future__ import annotations

_NAMED = {
    '"': r"\"",
    "\\": r"\\",
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
}
_SPACE, _DELETE, _LAST_OF_THE_BASIC_PLANE = 0x20, 0x7F, 0xFFFF


def quoted(text: str) -> str:
    """Quote a text as fmt's `%q` does."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    if character.isprintable():  # the same categories as Go's strconv.IsPrint
        return character
    code = ord(character)
    if code < _SPACE or code == _DELETE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _LAST_OF_THE_BASIC_PLANE else f"\\U{code:08x}"
