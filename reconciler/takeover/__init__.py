"""Takes over what is live: from an inventory to spec files whose plan is empty."""
