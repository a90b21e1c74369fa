"""The reproductions: one triple of files (recipe, text, table) per paper."""
