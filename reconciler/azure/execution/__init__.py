"""The services' own APIs: scoring (Request/Response), batch jobs and their swagger."""
