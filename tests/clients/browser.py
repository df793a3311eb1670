"""A person with a browser: python browser.py URL LOGIN PUBLIC NODE [--no-confirm]

Follows URL to the login provider, signs in as LOGIN there, and comes back. Addresses below PUBLIC are asked of NODE, as a
reverse proxy would. Prints status and text of the last page, after the confirmation when one is asked for.
"""

import html
import re
import sys
from urllib.parse import urljoin

import requests

url, login, public, node = sys.argv[1:5]
jars = {"node": {}, "provider": requests.Session()}


def ask(method, url, **more):
    if not url.startswith(public):
        return jars["provider"].request(method, url, allow_redirects=False, timeout=20, **more)
    # Cookies of the public origin, kept by hand: the node is asked under another name.
    cookies = "; ".join(f"{name}={value}" for name, value in jars["node"].items())
    answer = requests.request(
        method, node + url[len(public):], headers={"Cookie": cookies}, allow_redirects=False, timeout=20, **more
    )
    for name, value in answer.cookies.items():
        jars["node"][name] = value
    return answer


page = ask("GET", url)
for _ in range(20):
    if page.is_redirect:
        url = urljoin(url, page.headers["location"])
        page = ask("GET", url)
    elif 'name="login"' in page.text:
        page = ask("POST", url, data={"login": login})
    else:
        break

form = re.search(r'<form method="post" action="([^"]*)">.*?name="(\w+)" value="([^"]*)"', page.text, re.S)
if form and "--no-confirm" not in sys.argv:
    action, name, value = (html.unescape(part) for part in form.groups())
    page = ask("POST", urljoin(url, action), data={name: value})
print(page.status_code)
print(page.text)
