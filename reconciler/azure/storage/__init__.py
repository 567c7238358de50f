"""Storage accounts: blobs, signatures and uploads."""
