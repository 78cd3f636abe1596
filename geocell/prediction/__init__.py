"""From images to answers, and answers as files and pages."""
