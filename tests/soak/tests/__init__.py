"""Tests of the soak's own code."""
