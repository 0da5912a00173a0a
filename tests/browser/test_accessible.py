"""Can everybody use the pages: names for screen readers, contrast of the text as it is painted in both themes."""

from __future__ import annotations

import pytest

from tests.browser.conftest import session
from tests.contrast import contrast, luminance

PATHS = {
    "random": "?grade=3&seed=5", "draw": "draw?start=left", "styles": "styles", "reference": "styles?mode=Reference",
    "two styles": "styles?mode=Two+styles", "two maps": "styles?mode=Two+maps", "progression": "progression",
    "upload": "upload", "template": "template", "about": "about",
}  # fmt: skip
ROLES = {
    "button", "link", "textbox", "searchbox", "spinbutton", "slider", "combobox", "listbox", "checkbox", "switch",
    "radio", "radiogroup", "tab", "menuitem", "image", "img", "dialog", "toolbar",
}  # fmt: skip

# Colours as they are painted: of every piece of text that shows, and of what lies behind it.
COLOURS = """() => {
  const parse = text => {
    const canvas = parse.c ||= new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const up = element => element.parentElement || (element.getRootNode().host ?? null);
  const found = [];
  const look = root => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.nodeType === 1) { if (node.shadowRoot) look(node.shadowRoot); continue; }
      const text = node.textContent.trim(), element = node.parentElement;
      if (!text || !element || ['STYLE', 'SCRIPT', 'TITLE'].includes(element.tagName)) continue;
      const range = document.createRange(); range.selectNodeContents(node);
      const box = range.getBoundingClientRect(), style = getComputedStyle(element);
      if (box.width < 2 || box.height < 2 || style.visibility !== 'visible' || element.closest('svg')) continue;
      const exempt = '[disabled], [aria-disabled=true], [data-testid=stIconMaterial], [aria-hidden=true]';
      if (element.closest(exempt)) continue;
      const chain = []; for (let e = element; e; e = up(e)) chain.push(e);
      if (chain.some(e => getComputedStyle(e).clipPath.startsWith('inset(50%'))) continue;
      const opacity = chain.reduce((product, e) => product * +getComputedStyle(e).opacity, 1);
      if (opacity < 0.05) continue;
      let behind = parse(getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor);
      const x = box.x + box.width / 2, y = box.y + box.height / 2;
      for (const e of [...chain].reverse()) {
        const place = e.getBoundingClientRect();  // a slider's value is a child of its thumb, but stands above it
        if (x < place.left || x > place.right || y < place.top || y > place.bottom) continue;
        behind = over(parse(getComputedStyle(e).backgroundColor), behind);
      }
      const colour = parse(style.color); colour[3] *= opacity;
      const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
      const shown = over(colour, behind).slice(0, 3);
      found.push({text: text.slice(0, 40), colour: shown, behind: behind.slice(0, 3), large});
    }
  };
  look(document.body);
  return found;
}"""


def named(node: dict) -> bool:
    return bool(node.get("name", {}).get("value", "").strip())


@pytest.mark.parametrize("name", PATHS)
def test_every_control_and_picture_has_a_name(tiny_studio, name):
    studio = tiny_studio
    studio.open(PATHS[name])
    client = studio.page.context.new_cdp_session(studio.page)
    nodes = client.send("Accessibility.getFullAXTree")["nodes"]
    asked = [node for node in nodes if not node["ignored"] and node.get("role", {}).get("value") in ROLES]
    assert len(asked) >= 8, "the tree is that of the whole page"
    of = {node["nodeId"]: node for node in nodes}
    nameless = []
    for node in asked:
        parent = of.get(node.get("parentId"), {})
        in_button = parent.get("role", {}).get("value") == "button" and named(parent)
        # An icon in a button that has a name says nothing more.
        if not named(node) and not (in_button and node["role"]["value"] == "image"):
            about = client.send("DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]})["node"]
            nameless.append((node["role"]["value"], about["nodeName"], about.get("attributes", [])[:8]))
    assert nameless == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable_in_both_themes(browser, tiny_address, theme):
    """WCAG AA: 4.5 to 1, 3 to 1 for large text. What is disabled is exempt."""
    with session(browser, tiny_address, color_scheme=theme) as studio:
        for name, path in PATHS.items():
            studio.open(path)
            if name == "random":
                studio.page.get_by_role("button", name="Enlarge").first.click()
                studio.page.get_by_text("Signs of the ICDR scale").wait_for()
            studio.faded()
            found = studio.page.evaluate(COLOURS)
            assert len(found) >= 10
            dim = luminance(found[0]["behind"]) < 0.2
            assert dim == (theme == "dark"), "the theme is the one that was asked for"
            poor = {
                (piece["text"], round(contrast(piece["colour"], piece["behind"]), 2))
                for piece in found
                if contrast(piece["colour"], piece["behind"]) < (3 if piece["large"] else 4.5)
            }
            assert not poor, name
