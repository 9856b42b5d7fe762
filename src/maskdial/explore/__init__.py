"""The explorer: one text under any objective, with every dial, in a browser, a notebook or one file.

    request → answer (`answers`, `words`, `quiz`) → the ES module (`module`) in one of three hosts: `server`, `widget`, `export`

Python computes and finds the words; the browser draws. The contract between the two is in docs/explorer.md.
"""
