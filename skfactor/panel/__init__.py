"""The contract of a panel: which row is which asset on which date."""
