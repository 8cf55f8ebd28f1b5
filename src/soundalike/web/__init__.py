"""The server: the library as a local page and an HTTP API, thin over `soundalike.Library`.

Everything that comes in is hostile until it has passed the guard: other pages in the same browser, other users of
the machine, files that somebody sent. Sounds are addressed by their ids, never by a path. Where to read:

    serving   sockets, address, the end       app       routes, errors, the page
    guard     who may ask what                desk      what all routes share
    asked     bodies of requests              found     answers as JSON
    jobs      long work, in a child           work      what the child does
    uploads   sounds that are dropped         sandbox   the child that decodes them
    media     playable copies, pictures       picker    folders by opaque ids
    marks     favorites and labels            events    what has changed, as it changes
    routes/   one module per topic
"""
