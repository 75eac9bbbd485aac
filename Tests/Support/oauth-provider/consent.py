#!/usr/bin/env python3
"""Plays the browser of a person who links a provider: opens the authorization URL, signs in, consents, and prints the
callback URL that the provider redirects to. The callback itself is not opened. Standard library only.

    python3 consent.py URL [--user NAME] [--password WORD] [--deny]
"""
import argparse
import html.parser
import http.cookiejar
import sys
import urllib.error
import urllib.parse
import urllib.request

from provider import PASSWORD, USER

# Pages to go through at most: login, password, consent, and their redirects.
MAXIMUM_PAGES = 20
MAXIMUM_PAGE_BYTES = 1 << 20


class Refused(Exception):
    """The provider did not come to the point of redirecting back; the text says where it stopped."""


class Form(html.parser.HTMLParser):
    """The page's POST form that has one of `wanted` among its fields: its action and its fields."""

    def __init__(self, page, wanted):
        super().__init__()
        self.wanted, self.action, self.fields, self.found = wanted, None, {}, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form" and attributes.get("method", "").lower() == "post":
            self.action, self.fields = attributes.get("action") or "", {}
        elif tag in ("input", "button") and self.action is not None and attributes.get("name"):
            self.fields.setdefault(attributes["name"], attributes.get("value") or "")

    def handle_endtag(self, tag):
        if tag != "form" or self.action is None:
            return
        if self.found is None and any(name in self.fields for name in self.wanted):
            self.found = (self.action, self.fields)
        self.action = None


class Browser:
    """Keeps cookies, follows redirects within the provider and stops at the first one that leaves it."""

    def __init__(self, url):
        self.origin = origin(url)

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_):
                return None

        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(jar, Stay, urllib.request.ProxyHandler({}))
        self.url = url

    def open(self, url, fields=None):
        """Answers (page, None) for a page and (None, url) for a redirect away from the provider."""
        for _ in range(MAXIMUM_PAGES):
            data = urllib.parse.urlencode(fields).encode() if fields is not None else None
            self.url, fields = url, None
            request = urllib.request.Request(url, data, {"Referer": self.origin + "/"})
            try:
                with self.opener.open(request, timeout=20) as response:
                    return response.read(MAXIMUM_PAGE_BYTES).decode("utf-8", "replace"), None
            except urllib.error.HTTPError as error:
                if error.code not in (301, 302, 303, 307):
                    raise Refused(f"{url.split('?')[0]} answered {error.code}") from error
                url = urllib.parse.urljoin(url, error.headers["Location"])
            if origin(url) != self.origin:
                return None, url
        raise Refused(f"more than {MAXIMUM_PAGES} redirects")


def origin(url):
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def consent(url, user, password, deny=False):
    """The callback URL, with `code` and `state`, or with `error` when denied."""
    answers = {"login": user, "password": password, "answer": "deny" if deny else "accept"}
    browser = Browser(url)
    page, callback = browser.open(url)
    for _ in range(MAXIMUM_PAGES):
        if callback:
            return callback
        form = Form(page, answers).found
        if form is None:
            raise Refused(f"{browser.url.split('?')[0]} shows no form to answer")
        action, fields = form
        fields |= {name: answers[name] for name in answers if name in fields}
        page, callback = browser.open(urllib.parse.urljoin(browser.url, action), fields)
    raise Refused(f"more than {MAXIMUM_PAGES} pages")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--user", default=USER)
    parser.add_argument("--password", default=PASSWORD)
    parser.add_argument("--deny", action="store_true", help="refuse consent")
    arguments = parser.parse_args()
    try:
        print(consent(arguments.url, arguments.user, arguments.password, arguments.deny))
    except (Refused, OSError) as error:
        print(f"consent: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
