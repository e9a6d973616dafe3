"""What can be wrong with a template: its text, or what it does with the values it is given."""

from __future__ import annotations


class TemplateSyntaxError(ValueError):
    """A template cannot be read; `offset` counts characters from 0, `length` is how many are to blame."""

    def __init__(self, message: str, *, offset: int, length: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length


class TemplateRunError(ValueError):
    """A template that can be read fails on its values; `offset` and `length` say which part of its text."""

    def __init__(self, message: str, *, offset: int = 0, length: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length
