"""Say what is read next, whatever the steps made of the text."""

from maskdial.corruption.step import Target


class NextRead(Target):
    """Each position says the token that the next one reads; the last of a unit says nothing."""

    over_read = True
