"""Candidate places of zero-shot geolocation, their texts, and the levels that it descends."""
