"""Routes, one module per topic; each route is a call or two of the library."""
