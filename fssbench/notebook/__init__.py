"""How objects are shown in notebooks: text, tables and small pictures as HTML that needs no other file."""
