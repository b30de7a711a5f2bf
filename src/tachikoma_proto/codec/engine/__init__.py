"""The compiled engine: C, and the plan that it goes by."""
