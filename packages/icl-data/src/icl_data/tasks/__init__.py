"""Tasks by number: functions, and projected labelled sets, each made again from its number."""
