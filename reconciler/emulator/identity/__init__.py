"""The token endpoint, its certificates and the credentials that it accepts."""
