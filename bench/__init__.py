"""What is measured, each against a named alternative in the same run. See README.md."""
