"""What the refusal of a file must be, whatever was refused."""

import pytest

from jaxllc.errors import InputError

MEND = "give another"


def sentence(read, *arguments):
    """What the refusal says: one line that is not long."""
    with pytest.raises(InputError) as error:
        read(*arguments)
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 600
    return said
