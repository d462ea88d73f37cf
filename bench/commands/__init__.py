"""The commands: one file per sub-command, found by the CLI; nothing heavy at import."""
