"""What can be measured of a text: how it reads, how it repeats itself, how it will be found."""
