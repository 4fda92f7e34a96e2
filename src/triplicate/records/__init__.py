"""The run folder: the only code that reads or writes one."""
