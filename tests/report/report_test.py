"""`bpfwarden report` as people meet it: in Chromium, without a network.

usage: report_test.py BPFWARDEN FOLDER   (screenshots and a PDF are kept in FOLDER)
"""

import json
import pathlib
import re
import subprocess
import sys
import unittest

import recording
from browser import Browser
from expected import Expected, outcome, unit

BPFWARDEN, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
MOST_BYTES, MOST_UNPACKINGS = 5 << 20, 60
OUTCOMES = ["allowed", "would_deny", "refused", "rejected", "staged"]
READY = "document.documentElement.dataset.ready"

# What the page cannot do without, once more: the measure of all that it does, on whichever machine.
UNPACK = """return (async () => {
  const start = performance.now();
  await unpack(document.getElementById('event-data').textContent);
  return performance.now() - start;
})()"""

ROWS = """return [...document.querySelectorAll(arguments[0] + ' tbody tr')]
  .map(row => [...row.children].map(cell => cell.textContent))"""

# Text whose contrast with what is behind it is below WCAG's 4.5 (3 where it is large).
FAINT = """
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = element => {
    let layers = [];
    for (; element; element = element.parentElement) { const c = rgba(getComputedStyle(element).backgroundColor); if (c[3]) layers.push(c); if (c[3] === 255) break; }
    return layers.reduceRight((under, c) => under.map((v, i) => v + (c[i] - v) * c[3] / 255), [255, 255, 255]);
  };
  const faint = [];
  for (const element of document.body.querySelectorAll('*')) {
    if (!element.checkVisibility() || ['SCRIPT', 'OPTION', 'NOSCRIPT'].includes(element.tagName)) continue;
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    const style = getComputedStyle(element), a = light(rgba(style.color)), b = light(behind(element));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) faint.push([element.tagName, element.className, element.textContent.slice(0, 30), ratio]);
  }
  return faint;"""

# Text that is cut off: wider than its box, or than the page, outside of what can be scrolled.
CLIPPED = """
  const clipped = [];
  for (const element of document.querySelectorAll('main *')) {
    if (!element.checkVisibility() || element.closest('.scroll, .spoken, svg, select, .chart') || !element.textContent.trim()) continue;
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    const isCut = style.overflowX === 'hidden' && element.scrollWidth > element.clientWidth + 1;
    if (isCut || box.right > innerWidth + 1) clipped.push([element.tagName, element.className, element.textContent.slice(0, 30), box.right]);
  }
  return clipped;"""

# What somebody who cannot see or point would miss.
UNREACHABLE = """
  const named = e => (e.getAttribute('aria-label') || e.textContent || '').trim() || (e.labels && e.labels.length);
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  return [
    ...[...document.querySelectorAll('button, a, select, input')].filter(e => !named(e)).map(e => 'without a name: ' + e.outerHTML),
    ...[...document.querySelectorAll('[onclick]')].map(e => 'inline handler: ' + e.outerHTML),
    ...[...document.querySelectorAll('table')].filter(e => !e.caption && !e.closest('[aria-label]')).map(e => 'table without a caption: ' + e.id),
    ...[...document.querySelectorAll('thead th, tbody th')].filter(e => !e.scope).map(e => 'header without scope: ' + e.outerHTML),
    ...ids.filter((id, i) => ids.indexOf(id) !== i).map(id => 'twice: ' + id),
    ...[...document.querySelectorAll('[aria-controls]')].filter(e => !document.getElementById(e.getAttribute('aria-controls'))).map(e => 'controls nothing: ' + e.outerHTML),
  ];"""


def number(text):
    return int(text.replace(",", ""))


def make(name, *options):
    path = FOLDER / name
    subprocess.run([BPFWARDEN, "report", "--html", path, *options], check=True, stderr=subprocess.DEVNULL)
    return path


def about(folder):
    return ["--events", folder / "events.jsonl", "--inventory", folder / "inventory.json", "--status", folder / "status.json"]


class ReportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sys.argv = ["recording.py", str(FOLDER / "recording"), "100000"]
        recording.main()
        cls.page = make("report.html", *about(FOLDER / "recording"))
        cls.expected = Expected(FOLDER / "recording" / "events.jsonl")
        cls.browser = cls.enterClassContext(Browser())
        cls.browser.size(1280, 900)
        cls.browser.prefer("light")

    def setUp(self):
        self.browser.size(1280, 900)
        self.browser.prefer("light")
        self.open(self.page)

    def tearDown(self):
        self.assertEqual(self.browser.log("browser"), [], "the console stays empty")
        self.assertEqual(re.findall(r"\b(?:null|undefined|NaN)\b|\[object", self.browser.run("return document.body.innerText")), [])

    def open(self, page, fragment=""):
        self.browser.open("about:blank")
        self.browser.requests()
        self.browser.open(f"file://{page}{fragment}")
        self.browser.wait(READY, "the page is ready")

    def count(self):
        return int(self.browser.run("return document.getElementById('event-count').dataset.count"))

    def shown(self):
        return [int(one) for one in self.browser.run("return [...document.querySelectorAll('#event-table tr[data-sequence]')].map(row => row.dataset.sequence)")]

    def follow(self, selector, expected):
        self.browser.click(selector)
        self.browser.wait(f"document.getElementById('event-count').dataset.count === '{expected}'", f"{selector} shows {expected} events")
        self.browser.wait("document.activeElement.id === 'events-title'", "the reader is taken to the events")

    def test_it_is_small_and_quick(self):
        size, ready, unpacked = self.page.stat().st_size, [], []
        for _ in range(5):
            self.open(self.page)
            ready.append(self.browser.run("return performance.getEntriesByName('ready')[0].startTime"))
            unpacked.append(self.browser.run(UNPACK))
        ratio = min(ready) / min(unpacked)
        print(f"\n{len(self.expected.events)} events: {size / 2**20:.2f} MiB, ready after {min(ready):.0f} ms, "
              f"{ratio:.1f} times what unpacking them takes")
        self.assertLess(size, MOST_BYTES)
        self.assertLess(ratio, MOST_UNPACKINGS)

    def test_it_asks_no_network(self):
        self.browser.click("#denied-units tbody a")
        asked = [url for url in self.browser.requests() if not url.startswith("data:")]
        self.assertEqual([url.split("#")[0] for url in asked], [f"file://{self.page}"])
        policy = self.browser.run("return document.querySelector('meta[http-equiv]').content")
        self.assertRegex(policy, r"^default-src 'none'; script-src 'sha256-[^ ]{44}'; style-src 'sha256-[^ ]{44}'; img-src data:; ")
        self.assertNotIn("unsafe", policy)

    def test_figures(self):
        read = {name: number(self.browser.run("return document.querySelector(`[data-count=\"${arguments[0]}\"]`).textContent", name)) for name in OUTCOMES}
        self.assertEqual(read, {name: self.expected.counts[name] for name in OUTCOMES})
        text = self.browser.run("return document.getElementById('recording').textContent")
        self.assertIn(f"{len(self.expected.events):,} events", text)
        self.assertGreater(self.expected.missing, 0)
        self.assertIn(f"{self.expected.missing} events between the first and the last of these are missing", text)
        self.assertIn("The kernel has dropped 357 events", text)
        self.assertIn("2,100 allowed decisions left no event: more than", text)
        self.assertIn("18,400 allowed decisions left no event", text)
        head = self.browser.run("return document.querySelector('.lead').textContent")
        for fact in ["edge-17.example.net", "7.3.4+deb13-cloud-amd64", "edge-fleet, version 12", "audit", "2026-11-24 15:00:00 UTC", recording.digest("policy 12")[7:23]]:
            self.assertIn(fact, head)

    def test_denials_by_program_and_by_unit(self):
        names = {"": "bpfwarden’s keyring"}
        programs = {(row[0], row[1]): number(row[5]) for row in self.browser.run(ROWS, "#denied-programs")}
        self.assertEqual(programs, {(names.get(name, name) + digest, attach or "–"): count for (name, attach, digest), count in self.expected.programs.items()})
        units = {row[0]: number(row[4]) for row in self.browser.run(ROWS, "#denied-units")}
        self.assertEqual(units, dict(self.expected.units))

    def test_matrix(self):
        head = self.browser.run("return [...document.querySelectorAll('#matrix-cells thead th')].map(cell => cell.textContent)")
        read = {}
        rows = self.browser.run("""return [...document.querySelectorAll('#matrix-cells tbody tr')]
          .map(row => [...row.children].map(cell => cell.firstChild.textContent))""")
        for row in rows:
            for family, cell in zip(head[:-1], row[1:-1]):
                if cell != "·":
                    read[row[0], family] = number(cell)
            self.assertEqual(number(row[-1]), sum(count for (who, _), count in self.expected.matrix.items() if who == row[0]))
        self.assertEqual(read, dict(self.expected.matrix))
        self.browser.click("#matrix-table .choices button:nth-child(2)")
        total = self.browser.run("return document.querySelector('#matrix-cells tfoot td:last-child').textContent")
        self.assertEqual(number(total), len(recording.inventory()["programs"]))

    def test_timeline(self):
        step = {"15 minutes": 900}[re.search("Each bar is ([^;]+);", self.browser.run("return document.getElementById('timeline').textContent"))[1]]
        read = {}
        for row in self.browser.run(ROWS, "#timeline-table"):
            for name, cell in zip(OUTCOMES, row[1:]):
                if number(cell):
                    read[row[0], name] = number(cell)
        self.assertEqual(read, dict(self.expected.bins(step)))
        bars = self.browser.run("return [...document.querySelectorAll('.lane.would_deny .chart a')].map(bar => bar.getAttribute('aria-label'))")
        told = {label[:19]: number(label[21:].split()[0]) for label in bars}
        self.assertEqual(told, {start: count for (start, name), count in read.items() if name == "would_deny"})

    def test_what_runs(self):
        rows = self.browser.run(ROWS, "#running")
        listed = recording.inventory()["programs"]
        self.assertEqual(sorted(row[0] for row in rows), sorted(f"{one['program']}#{one['program_id']}" for one in listed))
        standing = [next(word for word in ("would be denied", "resident", "admitted", "bpfwarden") if row[3].startswith(word)) for row in rows]
        self.assertEqual(standing[:4], ["would be denied"] * 4)
        self.assertEqual(standing[-1], "bpfwarden")
        signed = [row[2] != "unsigned" for row in rows if row[3].startswith(("resident", "admitted"))]
        self.assertEqual(signed, sorted(signed), "unsigned ones first")
        self.browser.click("#program-table .choices button:nth-child(2)")
        self.assertTrue(all(row[2] == "unsigned" for row in self.browser.run(ROWS, "#running")))

    def test_a_number_shows_its_events(self):
        name = next(iter(self.expected.units.most_common(1)))[0]
        denied = lambda event: outcome(event) in ("would_deny", "refused")
        self.follow("#denied-units tbody tr:nth-child(1) a.count", self.expected.units[name])
        newest = self.expected.newest(lambda event: denied(event) and unit(event) == name, 25)
        self.assertEqual(self.shown(), newest)
        self.browser.run("document.querySelector('#event-view > button').click()")
        self.assertEqual(self.shown(), self.expected.newest(lambda event: denied(event) and unit(event) == name, 225))
        self.browser.click("#event-table .when")
        detail = self.browser.run("return document.querySelector('#event-table .detail').textContent")
        for fact in [f"#{newest[0]},", "What to do: ", "/system.slice/ebpf-exporter.service", "asks for a signer that it names"]:
            self.assertIn(fact, detail)
        self.browser.run("history.back()")
        self.browser.wait(f"document.getElementById('event-count').dataset.count === '{len(self.expected.events)}'", "back shows all events again")

    def test_each_kind_of_number_shows_its_events(self):
        self.follow("[data-count=rejected] a", self.expected.counts["rejected"])
        self.browser.run("location.hash = '#outcome=rejected&errno=126'")
        wanted = [event for event in self.expected.events if event["wanted_key"]]
        self.browser.wait(f"document.getElementById('event-count').dataset.count === '{len(wanted)}'", "ENOKEY alone")
        self.browser.click("#event-table .when")
        self.assertIn(wanted[0]["wanted_key"], self.browser.run("return document.querySelector('#event-table .detail').textContent"))
        cell = self.browser.run("return document.querySelector('#matrix-cells td.heat a').getAttribute('href')")
        self.assertIn("vouch=unsigned", cell)
        self.follow("#matrix-cells td.heat a", self.expected.matrix["unsigned", "cgroup"])
        program = self.expected.programs.most_common(1)[0]
        self.follow("#denied-programs tbody tr:nth-child(1) a.count", program[1])
        self.assertEqual(program[0][0], "biolatency")
        self.follow("#running tbody tr:nth-child(2) a.count", sum(event["program"] == "timers" for event in self.expected.events))

    def test_every_link_shows_as_many_events_as_it_says(self):
        links = self.browser.run("""
          document.querySelector('.as-table').open = true;
          return [...new Set([...document.querySelectorAll('a.count')].map(a => a.getAttribute('href') + ' ' + a.textContent.replaceAll(',', '')))]""")
        self.assertGreater(len(links), 200)
        for link in links[:: max(1, len(links) // 60)]:
            address, count = link.rsplit(" ", 1)
            self.browser.run("location.hash = arguments[0]", address)
            self.browser.wait(f"document.getElementById('event-count').dataset.count === '{count}'", link, 10)

    def test_filters_and_grouping(self):
        self.browser.run("""const form = document.querySelector('#event-view form');
          form.elements.q.value = 'flowtop'; form.elements.q.dispatchEvent(new Event('change'))""")
        self.assertEqual(self.count(), sum(event["comm"] == "flowtop" for event in self.expected.events))
        self.browser.run("""const form = document.querySelector('#event-view form');
          form.elements.outcome.value = 'rejected'; form.elements.outcome.dispatchEvent(new Event('change'))""")
        self.assertEqual(self.count(), self.expected.counts["rejected"])
        self.browser.click("#event-view [name=grouped]")
        kinds = {(event["errno"], event["policy_version"]) for event in self.expected.events if outcome(event) == "rejected"}
        self.assertEqual(len(self.shown()), len(kinds))
        self.browser.click(".chips li:last-child button")
        self.assertEqual(self.count(), len(self.expected.events))

    def test_without_a_pointer(self):
        self.browser.press("\ue004")  # Tab
        self.assertEqual(self.browser.run("return document.activeElement.className"), "skip")
        self.browser.run("document.querySelector('.lane.refused .chart a').focus()")
        self.browser.press("\ue014", "\ue014")  # right, right
        label = self.browser.run("return document.activeElement.getAttribute('aria-label')")
        third = sorted(start for start, name in self.expected.bins(900) if name == "refused")[2]
        self.assertTrue(label.startswith(third), label)
        self.browser.press("\ue007")  # Enter
        self.browser.wait(f"document.getElementById('event-count').dataset.count === '{self.expected.bins(900)[third, 'refused']}'", "Enter shows the bar's events")
        self.assertEqual(self.browser.run(UNREACHABLE), [])

    def test_hostile_texts_are_texts(self):
        self.assertEqual(self.browser.run("return [typeof pwned, document.images.length, document.scripts.length]"), ["undefined", 0, 3])
        self.assertIn(recording.HOSTILE, self.browser.run("return document.getElementById('denied-programs').textContent"))
        source = self.page.read_text()
        self.assertEqual(source.lower().count("</script"), 3)
        self.assertNotIn("<img", source)
        self.browser.run("location.hash = '#uid=1001'")
        self.browser.wait("document.querySelectorAll('.chip').length === 1", "the filter is set")
        text = self.browser.run("return document.getElementById('event-table').textContent")
        self.assertIn("a\\x1b[2J\\x202egnp", text)
        for hidden in "\x1b\u202e":
            self.assertNotIn(hidden, self.browser.run("return document.body.innerText"))
        self.browser.run("location.hash = '#program=' + encodeURIComponent('<img src=x onerror=pwned=1>') + '&x=%00'")
        self.browser.wait("document.getElementById('event-count').dataset.count === '0'", "an address from elsewhere is only text")
        self.assertEqual(self.browser.run("return [typeof pwned, document.images.length]"), ["undefined", 0])

    def test_light_dark_phone_and_paper(self):
        paper = lambda: self.browser.run("return getComputedStyle(document.body).backgroundColor")
        light = paper()
        self.assertEqual(self.browser.run(FAINT), [], "contrast, light")
        self.browser.screenshot(FOLDER / "desktop-light.png")
        self.browser.prefer("dark")
        dark = paper()
        self.assertNotEqual(dark, light)
        self.assertEqual(self.browser.run(FAINT), [], "contrast, dark")
        self.browser.screenshot(FOLDER / "desktop-dark.png")
        self.browser.click("#theme")
        self.assertEqual(paper(), light, "the button overrules the system")
        self.browser.click("#theme")
        self.browser.prefer("light")
        self.assertEqual(paper(), dark)
        self.browser.click("#theme")
        self.assertEqual(paper(), light)
        self.browser.size(360, 740)
        self.browser.click("#event-table .when")
        self.browser.run("document.querySelector('.as-table').open = true")
        self.assertEqual(self.browser.run("return document.documentElement.scrollWidth"), 360, "nothing is wider than a phone")
        self.browser.run("document.querySelector('.as-table').open = false; scrollTo(0, 0)")
        self.browser.screenshot(FOLDER / "phone.png")
        pdf = self.browser.pdf()
        (FOLDER / "report.pdf").write_bytes(pdf)
        self.assertEqual(pdf[:5], b"%PDF-")
        self.assertGreater(len(re.findall(rb"/Type\s*/Page\b", pdf)), 1)

    def test_names_do_not_clip(self):
        event = dict(self.expected.events[0])
        names = {"signer": "k" * 63, "program": "p" * 63, "rule": "r" * 63, "comm": "c" * 15, "cgroup": "/system.slice/" + "u" * 80 + ".service",
                 "attach": "fentry/" + "f" * 90, "signature": "prog-only", "decision": "deny", "refused": True, "errno": 1, "cause": "rule", "hook": "bpf_prog_load"}
        long = FOLDER / "long.jsonl"
        long.write_text(json.dumps(event | names) + "\n")
        self.open(make("long.html", "--events", long))
        for width in (1280, 390):
            self.browser.size(width, 844)
            self.assertEqual(self.browser.run("return document.documentElement.scrollWidth"), width)
            self.assertEqual(self.browser.run(CLIPPED), [], f"at {width}")

    def test_the_headline_is_about_one_policy(self):
        first = dict(self.expected.events[0]) | {"hook": "bpf_prog_load", "signature": "unsigned", "signer": None, "attach": "socket", "program": "libbpf_nametest", "decision": "deny", "refused": True, "errno": 1}
        last = first | {"sequence": first["sequence"] + 1, "policy_version": 99, "policy_digest": recording.digest("policy 99"), "refused": False, "errno": 0}
        two = FOLDER / "two.jsonl"
        two.write_text(json.dumps(first) + "\n" + json.dumps(last) + "\n")
        self.open(make("two.html", "--events", two))
        said = self.browser.run("return document.getElementById('verdict').textContent")
        self.assertEqual(said, "Under version 99, nothing was refused. Had it been enforced, 1 of 1 decision would have refused. The figures below are of all 2 policies in this recording.")
        self.assertIn("2 denials of these are of feature probes", self.browser.run("return document.getElementById('probes').textContent"))

    def test_nothing_recorded(self):
        nothing = FOLDER / "nothing.jsonl"
        nothing.write_text("")
        self.open(make("nothing.html", "--events", nothing))
        self.assertEqual(self.browser.run("return document.getElementById('verdict').textContent"), "No event is in this recording.")
        self.assertEqual(self.count(), 0)
        self.assertEqual(self.browser.run("return document.querySelector('[data-count=refused]').textContent"), "0")
        self.assertIn("--inventory FILE", self.browser.run("return document.getElementById('program-table').textContent"))
        self.assertEqual(self.browser.run(FAINT), [])

    def test_one_policy_and_one_event(self):
        one = FOLDER / "one.jsonl"
        one.write_text(json.dumps(self.expected.events[0]) + "\n")
        self.open(make("one.html", "--events", one))
        self.assertEqual(self.count(), 1)
        self.assertIn("No gap", self.browser.run("return document.getElementById('recording').textContent"))
        self.assertEqual(self.browser.run("return document.querySelectorAll('.chart a').length"), 1)

    def test_a_span(self):
        page = make("span.html", *about(FOLDER / "recording"), "--since", "2026-11-24T10:00", "--until", "2026-11-24T12:00Z")
        self.open(page)
        within = [event for event in self.expected.events if "2026-11-24T10:00:00.000000Z" <= event["time"] <= "2026-11-24T12:00:00.000000Z"]
        self.assertEqual(self.count(), len(within))
        self.assertIn(f"{len(self.expected.events) - len(within):,} events before or after the span", self.browser.run("return document.getElementById('recording').textContent"))


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    unittest.main(argv=["report_test.py", *sys.argv[3:]], verbosity=2)
