"""What people are told, and what they may do about it."""
