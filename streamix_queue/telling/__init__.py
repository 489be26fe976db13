"""How the library tells what happens: facts to observers, scopes of interceptors, and outages once."""
