"""What is uploaded before a job."""
