"""Key Vault secrets."""
