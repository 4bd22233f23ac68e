"""What pytest should not collect here: the build's own code and what it writes."""

collect_ignore = ["conf.py", "_ext", "_build", "api", "auto_examples"]
