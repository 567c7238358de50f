"""The plan room: from what is wanted, live and remembered to ordered steps, by pure functions.

`states` has the words, `decide` makes a plan of them, `document` is the plan as data, `saved` reads one
back and says what moved since, `render` shows it. Nothing here reads a file, a network or a clock.
"""
