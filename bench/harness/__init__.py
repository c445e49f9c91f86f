"""How servers are measured side by side: what is run (works), by whom (contenders), how (rounds), and the table."""
