"""What is no input for an audit: nothing can be said about it, neither good nor bad."""

from __future__ import annotations

from jobledger.core.errors import ArgumentError


class UnusableInput(ArgumentError):
    """It cannot be verified: it is no bundle, or of a version that is not known here, or cannot be read.

    What was found to be wrong in a bundle is no error but a finding of `verify`.

    >>> from jobledger.audit import UnusableInput, verify
    >>> try:
    ...     verify("holiday.tar")
    ... except UnusableInput as error:
    ...     print(error)
    holiday.tar cannot be read: No such file or directory
    """
