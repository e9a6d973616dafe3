"""A place in a template's tokens, with a look ahead."""

from __future__ import annotations

from adapter.promql.template.lexer import Kind, Token, tokens
from adapter.promql.template.nodes import Span
from adapter.promql.template.problems import TemplateSyntaxError


class Cursor:
    """Walks the tokens of a text once; they are cut as they are asked for, so the first mistake is the first found."""

    def __init__(self, text: str) -> None:
        self._source = tokens(text)
        self._ahead: list[Token] = []
        self._end = 0  # of the last token taken

    def peek(self, distance: int = 0) -> Token:
        """Return the next token, or one behind it, and stay."""
        while len(self._ahead) <= distance:
            self._ahead.append(next(self._source))
        return self._ahead[distance]

    def take(self) -> Token:
        """Return the next token and go past it."""
        token = self.peek()
        self._ahead.pop(0)
        self._end = token.offset + token.length
        return token

    def peek_word(self) -> Token:
        """Go past spaces; return the token behind them, and stay there."""
        while self.peek().kind is Kind.SPACE:
            self._ahead.pop(0)
        return self.peek()

    def take_word(self) -> Token:
        """Go past spaces and the token behind them, and return that."""
        self.peek_word()
        return self.take()

    def at_keyword(self, *keywords: str) -> bool:
        """Tell whether one of these keywords is next, behind spaces."""
        token = self.peek_word()
        return token.kind is Kind.KEYWORD and token.text in keywords

    def take_right(self, context: str) -> None:
        """Go past the end of an action.

        Raises:
            TemplateSyntaxError: there is something else.
        """
        token = self.take_word()
        if token.kind is not Kind.RIGHT:
            raise blamed(f'unexpected "{token.text}" in {context}', token)

    def since(self, start: Token) -> Span:
        """Return the place from a token up to where the cursor has come."""
        return Span(start.offset, max(self._end, start.offset + start.length) - start.offset)


def blamed(message: str, token: Token) -> TemplateSyntaxError:
    """Return the error that a token is to blame for."""
    return TemplateSyntaxError(message, offset=token.offset, length=max(token.length, 1))
