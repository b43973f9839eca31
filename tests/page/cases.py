"""Uses the page in Chromium as people do, and prints a line of JSON for each case: its name and what came of it.

Run by run.py inside its virtual environment: cases.py SETTINGS, an object with the addresses of both gateways.
"""

import json
import re
import struct
import sys
import traceback
import zlib
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

SETTINGS = json.loads(sys.argv[1])
MEDIA = Path(__file__).resolve().parents[2] / "examples" / "media"
CAT, COFFEE, FILM = MEDIA / "cat.jpg", MEDIA / "coffee.jpg", MEDIA / "pan.mp4"
QUESTION = "How many legs?"
WATCH = """
window.violatedPolicies = [];
document.addEventListener("securitypolicyviolation", (event) => window.violatedPolicies.push(event.violatedDirective));
"""
# Chromium writes a line of its own for each reply with a status of 400 or more.
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
expect.set_options(timeout=10_000)


class Page:
    """One tab on one gateway, watched for whatever a page must not do."""

    def __init__(
        self, browser, gateway="emulated", size=(1360, 900), scheme="light", locale="en-GB", key=SETTINGS["key"]
    ):
        self.address = SETTINGS[gateway]
        window = {"width": size[0], "height": size[1]}
        self.context = browser.new_context(locale=locale, viewport=window, color_scheme=scheme)
        self.context.add_init_script(WATCH)
        self.tab = self.context.new_page()
        self.refusals_allowed = key is None
        self.faults = []
        self.tab.on("console", self.on_console)
        self.tab.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        self.tab.on("request", self.on_request)
        if gateway == "scripted" and key:
            self.tab.add_init_script(f"sessionStorage.setItem('polysight.key', {json.dumps(key)})")
        reply = self.tab.goto(self.address)
        assert "default-src 'none'" in reply.headers["content-security-policy"], "no strict CSP"
        expect(self.tab.locator(".role" if key else "#key").first).to_be_visible()

    def on_console(self, message):
        if message.type in ("error", "warning") and not (self.refusals_allowed and REFUSED.match(message.text)):
            self.faults.append(f"console: {message.text}")

    def on_request(self, request):
        if not request.url.startswith((f"{self.address}/", "data:", "blob:")):
            self.faults.append(f"request to another host: {request.url}")

    def close(self):
        """Ends the tab; fails with what the page did wrong."""
        policies = self.tab.evaluate("window.violatedPolicies")
        self.context.close()
        assert not self.faults and not policies, f"{self.faults} {policies}"

    def choose(self, *roles):
        # They come with a reply, after a key was given too.
        expect(self.tab.locator(".role").first).to_be_visible()
        for box in self.tab.locator(".role input").all():
            box.set_checked(box.get_attribute("value") in roles)

    def ask(self, *roles, question=QUESTION, files=()):
        self.choose(*roles)
        if files:
            self.tab.set_input_files("#files", files)
            expect(self.tab.locator("#media li img")).to_have_count(len(files))
        self.tab.fill("#question", question)
        self.tab.click("#ask")

    def card(self, role):
        return self.tab.locator(".card").filter(has=self.tab.get_by_role("heading", name=role, exact=True))

    def ended(self, role, status):
        expect(self.card(role)).to_have_attribute("data-status", status, timeout=30_000)
        return self.card(role)

    def shot(self, name, whole=False):
        if SETTINGS["shots"]:
            Path(SETTINGS["shots"]).mkdir(parents=True, exist_ok=True)
            self.tab.screenshot(path=f"{SETTINGS['shots']}/{name}.png", full_page=whole)

    def no_sideways_scroll(self):
        widths = self.tab.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert widths[0] <= widths[1], f"wider than the window: {widths}"

    def axe(self, state):
        if not self.tab.evaluate("'axe' in window"):
            self.tab.evaluate(Path(SETTINGS["axe"]).read_text())
        found = self.tab.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        lines = [f"{one['id']} at {[node['target'] for node in one['nodes']][:3]}" for one in found]
        assert not lines, f"{state}: {lines}"


def drop(page, paths, types):
    """Drops files on the page as a file manager does."""
    files = [{"name": path.name, "type": kind, "bytes": list(path.read_bytes())} for path, kind in zip(paths, types)]
    page.tab.evaluate("""(files) => {
      const data = new DataTransfer();
      for (const { name, type, bytes } of files) data.items.add(new File([new Uint8Array(bytes)], name, { type }));
      for (const kind of ["dragenter", "dragover", "drop"]) {
        const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data });
        document.getElementById("question").dispatchEvent(event);
      }
    }""", files)


def a_dropped_picture_is_answered_by_two_roles(browser):
    page = Page(browser)
    page.shot("welcome")
    drop(page, [CAT], ["image/jpeg"])
    expect(page.tab.locator("#media li img")).to_have_count(1)
    page.ask("zhipu", "qwen")
    for role in ("zhipu", "qwen"):
        card = page.ended(role, "done")
        expect(card.locator(".text")).to_contain_text(f"{CAT.stat().st_size} bytes")
        expect(card.locator(".text")).to_contain_text(f"You asked: {QUESTION}")
        expect(card.locator(".figures")).to_contain_text("First delta")
        expect(card.locator(".figures")).to_contain_text(re.compile(r"Tokens\d[\d,]* in, \d+ out"))
        expect(card.locator(".figures")).to_contain_text("Finishstop")
    places = [page.card(role).bounding_box() for role in ("zhipu", "qwen")]
    one, other = sorted(places, key=lambda place: place["x"])
    assert one["y"] == other["y"] and one["x"] + one["width"] < other["x"], "not side by side"
    page.shot("answers")
    page.close()


def a_picture_is_pasted(browser):
    page = Page(browser)
    page.tab.evaluate("""(bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "pasted.jpg", { type: "image/jpeg" }));
      const event = new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: data });
      document.body.dispatchEvent(event);
    }""", list(COFFEE.read_bytes()))
    expect(page.tab.locator("#media li")).to_contain_text("pasted.jpg")
    page.ask("qwen")
    expect(page.ended("qwen", "done").locator(".text")).to_contain_text(f"{COFFEE.stat().st_size} bytes")
    page.close()


def a_video_and_a_link_go_along(browser):
    page = Page(browser)
    page.tab.fill("#link", "ftp://h.example/a.jpg")
    page.tab.press("#link", "Enter")
    expect(page.tab.locator("#media-problem")).to_contain_text("http://")
    page.tab.fill("#link", "https://h.example/a.jpg")
    page.tab.press("#link", "Enter")
    expect(page.tab.locator("#media-problem")).to_be_empty()
    page.tab.evaluate("""() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.setData("text/uri-list", "https://h.example/b.mp4");
      document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
    }""")
    page.tab.get_by_role("button", name="b.mp4 is a video; change it").click()
    expect(page.tab.get_by_role("button", name="b.mp4 is a picture; change it")).to_be_visible()
    page.tab.get_by_role("button", name="Remove b.mp4").click()
    page.ask("zhipu", question="Compare them.")
    expect(page.ended("zhipu", "done").locator(".text")).to_contain_text("https://h.example/a.jpg")
    page.tab.get_by_role("button", name="Remove a.jpg").click()
    page.ask("qwen", files=[FILM])
    expect(page.ended("qwen", "done").locator(".text")).to_contain_text(f"MP4, 2.6 s, {FILM.stat().st_size} bytes")
    page.close()


def what_is_not_media_or_too_much_is_refused_with_the_reason(browser):
    page = Page(browser)
    drop(page, [Path(__file__)], ["text/x-python"])
    expect(page.tab.locator("#media-problem")).to_have_text("cases.py is neither a picture nor a video.")
    page.tab.evaluate("""() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([new Uint8Array(45_000_001)], "long.mp4", { type: "video/mp4" }));
      document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
    }""")
    expect(page.tab.locator("#media-problem")).to_contain_text("long.mp4 brings the files over 45 MB")
    drop(page, [CAT] * 21, ["image/jpeg"] * 21)
    expect(page.tab.locator("#media-problem")).to_contain_text("At most 20")
    expect(page.tab.locator("#media li")).to_have_count(20)
    page.close()


def every_violation_is_shown_with_its_way_out(browser):
    page = Page(browser)
    page.refusals_allowed = True
    page.tab.get_by_text("Options").click()
    page.tab.fill("#temperature", "5")
    page.tab.fill("#max-tokens", "99999999")
    page.ask("zhipu", "qwen")
    for role in ("zhipu", "qwen"):
        found = page.ended(role, "refused").locator(".violations > li")
        expect(found).to_have_count(2)
        for name in ("temperature", "max_tokens"):
            one = found.filter(has=page.tab.get_by_text(re.compile(f"^{name}$")))
            expect(one).to_contain_text("Allowed")
            expect(one).to_contain_text("Way out")
    page.shot("violations")
    page.close()


def answers_stream_side_by_side_and_stop(browser):
    page = Page(browser, "scripted")
    page.ask("slow", "slower")
    for role in ("slow", "slower"):
        expect(page.card(role).locator(".text")).to_contain_text("word 3")
    assert all(page.card(role).get_attribute("data-status") == "streaming" for role in ("slow", "slower"))
    assert page.card("slow").get_attribute("aria-busy") == "true"
    page.shot("streaming")
    page.tab.click("#stop")
    for role in ("slow", "slower"):
        expect(page.ended(role, "stopped").locator(".text")).to_contain_text("word 3")
    expect(page.tab.locator("#ask")).to_be_visible()
    page.close()


def an_error_in_mid_stream_keeps_what_had_arrived(browser):
    page = Page(browser, "scripted")
    page.ask("breaks")
    card = page.ended("breaks", "failed")
    expect(card.locator(".text")).to_have_text("The first half of an answer")
    expect(card.locator(".trouble")).to_contain_text("the model has stopped")
    page.shot("broken")
    page.close()


def an_answer_without_end_is_stopped(browser):
    page = Page(browser, "scripted")
    page.ask("endless")
    expect(page.ended("endless", "failed").locator(".trouble")).to_contain_text("longer than 1000000 characters")
    page.close()


def boxes_stand_where_the_answer_says(browser):
    page = Page(browser, "scripted")
    page.ask("boxes", "marks", files=[CAT])
    card = page.ended("boxes", "done")
    expect(card.locator(".drawing .box")).to_have_count(2)
    expect(card.locator(".box-list li").first).to_contain_text("cat")
    expect(card.locator("figcaption")).to_contain_text("0 to 1000")
    expect(card.locator("figcaption")).to_contain_text("Values above 1000")
    picture = card.locator(".drawing img").bounding_box()
    frame = card.locator(".box-edge").first.bounding_box()
    for start, side, low, high in (("x", "width", 0.1, 0.5), ("y", "height", 0.2, 0.9)):
        begin = (frame[start] - picture[start]) / picture[side]
        length = frame[side] / picture[side]
        assert abs(begin - low) < 0.02 and abs(length - (high - low)) < 0.02, f"{start}: {begin}, {length}"
    expect(page.ended("marks", "done").locator(".drawing .box")).to_have_count(1)
    page.shot("boxes")
    page.close()


def rectangle_png(width, height, left, top, right, bottom):
    """A red rectangle on white, as a file of its own."""
    white, red = b"\xff\xff\xff", b"\xe1\x1e\x1e"
    inside = white * left + red * (right - left) + white * (width - right)
    rows = b"".join(b"\0" + (inside if top <= y < bottom else white * width) for y in range(height))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks)
    return {"name": "rectangle.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n" + body}


def boxes_of_models_are_drawn_where_the_gateway_places_them(browser):
    page = Page(browser)
    picture = rectangle_png(800, 400, 200, 100, 600, 300)
    page.ask("zhipu", "qwen", question="Where is the red rectangle? Answer with bbox_2d.", files=[picture])
    for role in ("zhipu", "qwen"):
        card = page.ended(role, "done")
        expect(card.locator(".drawing .box")).to_have_count(1)
        expect(card.locator("figcaption")).to_contain_text("Pixel coordinates")
        expect(card.locator(".box-list li")).to_contain_text("red rectangle")
        edge = card.locator(".box-edge").first
        place = [float(edge.get_attribute(name)) for name in ("x", "y", "width", "height")]
        assert all(abs(found - wanted) < 5 for found, wanted in zip(place, (250, 125, 500, 250))), f"{role}: {place}"
    page.shot("boxes-of-models")
    page.close()


def boxes_of_the_gateway_are_pixels_of_their_picture(browser):
    page = Page(browser)
    found = page.tab.evaluate("""async () => {
      const { boxesOf } = await import("/boxes.js");
      const { boxesFigure } = await import("/boxes-view.js");
      const one = { label: "paw", picture: 1, box: [20, 10, 60, 40] };
      const boxes = boxesOf({ text: "[[1,2,3,4]]", polysight: { boxes: [one, { box: ["x"] }] } });
      const preview = document.querySelector("img").src;
      const media = [500, 200].map((width) => ({ kind: "image", name: `${width}`, preview, width, height: width / 2 }));
      const figure = boxesFigure(boxes, media);
      const edge = figure.querySelector(".box-edge");
      const place = ["x", "y", "width", "height"].map((name) => Number(edge.getAttribute(name)));
      return { place, on: figure.querySelector("img").alt, count: boxes.boxes.length, said: figure.textContent };
    }""")
    assert found["place"] == [100, 50, 200, 150] and found["count"] == 1, found
    assert found["on"].startswith("200") and "Pixel coordinates" in found["said"], found
    page.close()


def several_pictures_leave_the_choice(browser):
    page = Page(browser, "scripted")
    page.ask("marks", files=[CAT, COFFEE])
    card = page.ended("marks", "done")
    expect(card.locator(".drawing img")).to_have_attribute("alt", "cat.jpg with 1 box")
    card.get_by_label("Drawn on").select_option("2: coffee.jpg")
    expect(card.locator(".drawing img")).to_have_attribute("alt", "coffee.jpg with 1 box")
    expect(card.locator(".drawing .box")).to_have_count(1)
    page.close()


def reasoning_can_be_unfolded(browser):
    page = Page(browser, "scripted")
    page.ask("thinks")
    card = page.ended("thinks", "done")
    expect(card.locator(".thought")).to_be_hidden()
    card.get_by_text("Reasoning").click()
    expect(card.locator(".thought")).to_contain_text("two legs in front")
    page.close()


def the_text_of_a_model_is_never_html(browser):
    page = Page(browser, "scripted")
    title = page.tab.title()
    page.ask("hostile", "markdown")
    text = page.ended("hostile", "done").locator(".text")
    expect(text).to_contain_text('<img src="https://h.example/x.png" onerror="document.title=1">')
    expect(text).to_contain_text("[click](javascript:document.title=3)")
    assert text.locator("img, script, iframe, a, b").count() == 0
    assert page.tab.title() == title
    shown = page.ended("markdown", "done").locator(".text")
    parts = {"ul > li": 2, "ol > li": 2, "pre": 1, "strong": 1, "p > code": 1}
    assert {name: shown.locator(name).count() for name in parts} == parts
    page.close()


def the_history_survives_a_reload(browser):
    page = Page(browser)
    page.ask("zhipu", files=[CAT])
    page.ended("zhipu", "done")
    page.ask("qwen", question="And how many ears?")
    page.ended("qwen", "done")
    page.tab.wait_for_timeout(100)
    page.tab.reload()
    page.tab.click("#history-open")
    rows = page.tab.locator("#history-list li")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("And how many ears?")
    page.shot("history")
    page.tab.get_by_role("button", name=re.compile(rf"^{re.escape(QUESTION)}")).click()
    expect(page.card("zhipu").locator(".text")).to_contain_text(f"You asked: {QUESTION}")
    expect(page.tab.locator(".asked-media img")).to_have_count(1)
    page.tab.click("#history-open")
    page.tab.get_by_role("button", name=f"Delete: {QUESTION}").click()
    expect(rows).to_have_count(1)
    page.tab.on("dialog", lambda dialog: dialog.accept())
    page.tab.click("#history-clear")
    expect(rows).to_have_text("Nothing was asked yet.")
    page.close()


def the_history_is_bounded(browser):
    page = Page(browser)
    kept = page.tab.evaluate("""async () => {
      const { keepComparison, keptComparisons, MOST_QUESTIONS } = await import("/history.js");
      const of = (at, text) => ({ id: `id-${at}`, at, question: "q", media: [], answers: [{ text, reasoning: "" }] });
      for (let at = 0; at < MOST_QUESTIONS + 3; at += 1) await keepComparison(of(at, ""));
      const many = (await keptComparisons()).map((one) => one.at);
      const preview = "x".repeat(9_000_000);
      const large = (at) => ({ ...of(at, "y".repeat(200_000)), media: [{ preview }] });
      for (let at = 100; at < 103; at += 1) await keepComparison(large(at));
      const rows = await keptComparisons();
      return { many, large: rows.map((one) => one.at), text: rows[0].answers[0].text.length };
    }""")
    assert kept["many"] == list(range(52, 2, -1)), kept
    assert kept["large"] == [102, 101] and kept["text"] == 100_000, kept
    page.close()


FOCUSED = """() => {
  const node = document.activeElement;
  const ring = node.closest(".role") ?? node;
  const visible = node === document.body || getComputedStyle(ring).outlineStyle !== "none";
  return { id: node.id, value: node.value ?? "", ring: visible };
}"""


def tab_to(page, wanted):
    """Presses Tab until the element is focused; every stop on the way must be visible as such."""
    for _ in range(80):
        page.tab.keyboard.press("Tab")
        at = page.tab.evaluate(FOCUSED)
        assert at["ring"], f"no visible focus at {at}"
        if wanted in (at["id"], at["value"]):
            return
    raise AssertionError(f"{wanted} cannot be reached")


def the_keyboard_alone_is_enough(browser):
    page = Page(browser, "scripted")
    tab_to(page, "question")
    page.tab.keyboard.type(QUESTION)
    for role in page.tab.eval_on_selector_all(".role input:checked", "boxes => boxes.map((box) => box.value)"):
        tab_to(page, role)
        page.tab.keyboard.press("Space")
    tab_to(page, "thinks")
    page.tab.keyboard.press("Space")
    page.tab.keyboard.press("Control+Enter")
    page.ended("thinks", "done")
    expect(page.tab.locator("#status")).to_contain_text("thinks answered after")
    tab_to(page, "thinks")
    page.tab.keyboard.press("Space")
    tab_to(page, "slow")
    page.tab.keyboard.press("Space")
    page.tab.keyboard.press("Control+Enter")
    expect(page.card("slow").locator(".text")).to_contain_text("word 2")
    page.tab.keyboard.press("Escape")
    page.ended("slow", "stopped")
    tab_to(page, "history-open")
    page.tab.keyboard.press("Enter")
    expect(page.tab.locator("#history")).to_be_visible()
    page.tab.keyboard.press("Escape")
    expect(page.tab.locator("#history")).to_be_hidden()
    page.close()


def a_phone_needs_no_sideways_scroll(browser):
    page = Page(browser, size=(320, 640))
    page.refusals_allowed = True
    page.no_sideways_scroll()
    page.shot("phone", whole=True)
    page.ask("zhipu", "qwen", question="w" * 300, files=[CAT])
    page.ended("zhipu", "done")
    page.ended("qwen", "done")
    page.no_sideways_scroll()
    page.shot("phone-answers", whole=True)
    page.tab.get_by_text("Options").click()
    page.tab.fill("#temperature", "5")
    page.tab.click("#ask")
    page.ended("zhipu", "refused")
    page.no_sideways_scroll()
    page.tab.click("#history-open")
    page.no_sideways_scroll()
    page.shot("phone-history")
    page.close()


def it_is_dark_by_the_system_or_by_choice(browser):
    ground = "getComputedStyle(document.body).backgroundColor"
    page = Page(browser, scheme="dark")
    dark = page.tab.evaluate(ground)
    page.ask("zhipu", "qwen", files=[CAT])
    page.ended("qwen", "done")
    page.shot("dark")
    page.tab.click("#theme")
    light = page.tab.evaluate(ground)
    page.tab.reload()
    assert light != dark and page.tab.evaluate(ground) == light, f"{dark} {light}"
    page.close()


def it_speaks_chinese_by_the_browser_or_by_choice(browser):
    page = Page(browser, locale="zh-CN")
    assert page.tab.evaluate("document.documentElement.lang") == "zh-CN"
    expect(page.tab.get_by_role("button", name="提问")).to_be_visible()
    page.ask("zhipu", "qwen", question="有几条腿？", files=[CAT])
    expect(page.ended("zhipu", "done").locator(".state")).to_have_text("已回答")
    page.ended("qwen", "done")
    page.shot("chinese")
    page.tab.click("#language")
    expect(page.card("zhipu").locator(".state")).to_have_text("answered")
    page.tab.reload()
    expect(page.tab.get_by_role("button", name="Ask")).to_be_visible()
    keys = page.tab.evaluate("""async () => {
      const { strings: { en, zh } } = await import("/strings.js");
      const places = (text) => [...text.matchAll(/\\{\\w+\\}/g)].map(String).sort().join();
      const named = [...document.querySelectorAll("[data-text], [data-label], [data-placeholder]")]
        .flatMap(({ dataset }) => [dataset.text, dataset.label, dataset.placeholder]).filter(Boolean);
      const all = new Set([...Object.keys(en), ...Object.keys(zh), ...named]);
      return [...all].filter((key) => !(key in en && key in zh) || places(en[key]) !== places(zh[key]));
    }""")
    assert keys == [], f"not the same in both languages: {keys}"
    page.close()


def a_key_is_asked_for_and_kept_for_the_tab_alone(browser):
    page = Page(browser, "scripted", key=None)
    page.shot("key")
    page.axe("key")
    page.tab.fill("#key-value", "not the key")
    page.tab.keyboard.press("Enter")
    expect(page.tab.locator("#key-problem")).not_to_be_empty()
    page.tab.fill("#key-value", SETTINGS["key"])
    page.tab.keyboard.press("Enter")
    page.ask("thinks")
    page.ended("thinks", "done")
    stored = page.tab.evaluate("JSON.stringify(localStorage)")
    assert SETTINGS["key"] not in stored, "the key outlives the tab"
    assert SETTINGS["key"] in page.tab.evaluate("JSON.stringify(sessionStorage)")
    page.close()


def events_are_read_in_every_spelling(browser):
    page = Page(browser)
    found = page.tab.evaluate("""async () => {
      const { eventData } = await import("/events.js");
      const read = async (text, size) => {
        const bytes = new TextEncoder().encode(text);
        const body = new ReadableStream({ start(controller) {
          for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
          controller.close();
        } });
        const events = [];
        for await (const data of eventData(body)) events.push(data);
        return events.join("|");
      };
      const plain = ": wait\\n\\ndata: 猫\\n\\nevent: x\\nid: 1\\ndata:two\\ndata: lines\\n\\ndata: end";
      const results = [];
      for (const text of [plain, plain.replaceAll("\\n", "\\r\\n"), plain.replaceAll("\\n", "\\r")]) {
        for (const size of [1, 2, 7, 1000]) results.push(await read(text, size));
      }
      return [...new Set(results)];
    }""")
    assert found == ["猫|two\nlines|end"], found
    page.close()


BOXES = [
    ('{"bbox_2d": [1, 2, 30, 40], "label": "a \\"b\\""}', [["a \"b\"", 1, 2, 30, 40]]),
    ("[{'label': 'cat', 'bbox_2d': [30.5, 40, 1, 2]}]", [["cat", 1, 2, 30.5, 40]]),
    ('{"0": [{"label": "car", "bbox_2d": [1, 2, 3, 4]}], "1": []}', [["car", 1, 2, 3, 4]]),
    ("It is <|begin_of_box|>[1, 2, 3, 4]<|end_of_box|>.", [["", 1, 2, 3, 4]]),
    ("<|begin_of_box|>(1,2,3,4) and <5,6,7,8>", [["", 1, 2, 3, 4], ["", 5, 6, 7, 8]]),
    ("[[1, 2, 3, 4], [5, 6, 7, 8]]", [["", 1, 2, 3, 4], ["", 5, 6, 7, 8]]),
    ("<ref>cat</ref><box>(1,2),(3,4)</box>", [["cat", 1, 2, 3, 4]]),
    ("<|object_ref_start|>cat<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>", [["cat", 1, 2, 3, 4]]),
    ("The years [1998, 1999, 2000, 2001] and [x](y), version [1,2].", []),
    ("{" * 50_000 + "[" * 50_000, []),
]


def boxes_are_found_in_every_form(browser):
    page = Page(browser)
    found = page.tab.evaluate("""async (texts) => {
      const { boxesOf } = await import("/boxes.js");
      const row = ({ label, corners }) => [label, ...corners];
      return texts.map((text) => boxesOf({ text, polysight: {} }).boxes.map(row));
    }""", [text for text, _ in BOXES])
    wrong = [(text[:80], boxes) for (text, wanted), boxes in zip(BOXES, found) if boxes != wanted]
    assert not wrong, wrong
    page.close()


def axe_finds_nothing(browser):
    for scheme in ("light", "dark"):
        page = Page(browser, scheme=scheme)
        page.refusals_allowed = True
        page.axe(f"{scheme}, welcome")
        page.tab.get_by_text("Options").click()
        page.ask("zhipu", "ernie", files=[CAT, FILM])
        expect(page.tab.locator('[aria-busy="true"]')).to_have_count(0)
        page.axe(f"{scheme}, answers")
        page.tab.fill("#temperature", "5")
        page.tab.click("#ask")
        page.ended("zhipu", "refused")
        page.axe(f"{scheme}, violations")
        page.tab.click("#history-open")
        page.axe(f"{scheme}, history")
        page.close()
        page = Page(browser, "scripted", scheme=scheme)
        page.ask("boxes", "markdown", "thinks", "breaks", files=[CAT])
        expect(page.tab.locator('[aria-busy="true"]')).to_have_count(0)
        page.card("thinks").get_by_text("Reasoning").click()
        page.axe(f"{scheme}, boxes")
        page.ask("slow")
        expect(page.card("slow").locator(".text")).to_contain_text("word 2")
        page.axe(f"{scheme}, streaming")
        page.tab.click("#stop")
        page.close()


CASES = [
    a_dropped_picture_is_answered_by_two_roles,
    a_picture_is_pasted,
    a_video_and_a_link_go_along,
    what_is_not_media_or_too_much_is_refused_with_the_reason,
    every_violation_is_shown_with_its_way_out,
    answers_stream_side_by_side_and_stop,
    an_error_in_mid_stream_keeps_what_had_arrived,
    an_answer_without_end_is_stopped,
    boxes_stand_where_the_answer_says,
    boxes_of_models_are_drawn_where_the_gateway_places_them,
    boxes_of_the_gateway_are_pixels_of_their_picture,
    several_pictures_leave_the_choice,
    reasoning_can_be_unfolded,
    the_text_of_a_model_is_never_html,
    the_history_survives_a_reload,
    the_history_is_bounded,
    the_keyboard_alone_is_enough,
    a_phone_needs_no_sideways_scroll,
    it_is_dark_by_the_system_or_by_choice,
    it_speaks_chinese_by_the_browser_or_by_choice,
    a_key_is_asked_for_and_kept_for_the_tab_alone,
    events_are_read_in_every_spelling,
    boxes_are_found_in_every_form,
    axe_finds_nothing,
]


def outcome(case, browser):
    """What came of one case, in a line."""
    try:
        case(browser)
        return "ok"
    except Exception as failure:
        at = traceback.extract_tb(failure.__traceback__)
        line = next((entry.lineno for entry in reversed(at) if entry.filename == __file__), 0)
        return f"line {line}: {str(failure)[:900]}"


def main():
    """Runs the cases in one browser, each with storage of its own."""
    with sync_playwright() as playwright:
        # The sandbox of Chromium does not start for root, which containers of CI are.
        browser = playwright.chromium.launch(executable_path=SETTINGS["browser"], args=["--no-sandbox"])
        outcomes = []
        for case in CASES:
            if SETTINGS["only"] not in case.__name__:
                continue
            outcomes.append(outcome(case, browser))
            print(json.dumps({"case": case.__name__.replace("_", " "), "outcome": outcomes[-1]}), flush=True)
        browser.close()
    sys.exit(0 if all(one == "ok" for one in outcomes) else 1)


main()
