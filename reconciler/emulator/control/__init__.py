"""The emulator's own page, journal, request log, fault rules and key rotation."""
