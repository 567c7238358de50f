"""Takes over what is live: from an inventory to spec files over which the plan is empty.

- `workspaces`: which workspaces a command line means;
- `known`: what there is beside the live side, documents and the store;
- `evidence`: which version each resource serves, as far as anything tells;
- `drafts`: documents, and what has to be said about them;
- `naming`, `files`: what they are called, and their text.

Only the command line reads the live side and writes files; all of this is pure, but for reading spec files.
"""
