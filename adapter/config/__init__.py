"""What a person writes: rules files and flags."""
