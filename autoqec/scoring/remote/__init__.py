"""Workers elsewhere: what they say of themselves, how they are asked, and the pool that every executor with such workers uses."""
