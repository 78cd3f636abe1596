"""Zero-shot geolocation: candidate places, their texts, and the classifier over them that answers like a head."""
