"""The daemon: when a night may begin, what it sees of the machine, and how it is kept from being noticed."""
