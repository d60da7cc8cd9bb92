"""What sequences hold: a table of one, statistics of many, a picture of a few."""
