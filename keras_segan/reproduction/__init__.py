"""What a reproduction is, how it runs, and what it ends in: recipes, runs, outcomes, tables and the page."""
