"""The Blob service: accounts, containers, blobs, blocks, leases, copies and shared access signatures."""
