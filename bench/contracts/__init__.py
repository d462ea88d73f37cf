"""What a member of each seam implements, and how members are found."""
