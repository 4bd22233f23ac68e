"""Which library an object comes from, told without importing the library."""


def library_of(thing: object) -> str:
    """Return the package that defines the type of an object."""
    return type(thing).__module__.partition(".")[0]


def is_polars(thing: object) -> bool:
    """Return whether an object is of polars, be it a frame, a series or another."""
    return library_of(thing) == "polars"
