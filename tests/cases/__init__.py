"""What is particular of each family in the tests that run over all, in a file of its stem."""
