"""Who holds the memory that grows?

A service answers requests and remembers what it has computed. The key of one of its
two caches is different for every request, so that cache only grows.

    pytrace run -o leak.pytrace examples/leak.py
    pytrace report leak.pytrace --metric live --by line --top 4
"""

import functools

pages = {}


@functools.lru_cache(maxsize=100)
def profile(user):
    """Bounded: the least recently used entry makes room for a new one."""
    return {"user": user, "rights": ["read", "write", "share"]}


def page(user, request):
    """Unbounded: `request` never comes twice."""
    key = (user, request)
    if key not in pages:
        name = profile(user)["user"]
        pages[key] = f"<p>Hello {name}, your request was number {request}.</p>"
    return pages[key]


if __name__ == "__main__":
    characters = 0
    for number in range(50_000):
        characters += len(page(f"user-{number % 80}", number))
    print(f"answered 50000 requests with {characters} characters")
