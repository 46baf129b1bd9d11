// The head of the page: which machine, which policy, what was decided, and what is not in here.

// Files of `status --json` are kept: those of before have seconds, and digests without a prefix.
const momentOf = (since) => typeof since === 'number' ? since * 1e6 : micros(since);
function digestOf(status) {
  const digest = status.policy_digest || status.digest;
  return digest && !digest.startsWith('sha256:') ? 'sha256:' + digest : digest;
}

function showPolicy(report) {
  const status = report.status;
  const facts = [];
  const fact = (name, ...value) => facts.push(element('div', {}, element('dt', {}, name), element('dd', {}, ...value)));
  if (report.kernel) fact('Kernel', report.kernel);
  if (status && status.active === false) fact('Policy', 'none is active');
  else if (status) {
    fact('Policy', status.policy + ', version ' + (status.policy_version ?? status.version));
    fact('Mode', element('span', {class: 'mode ' + status.mode}, status.mode));
    if (status.since) fact('Active since', second(momentOf(status.since)) + ' UTC');
    if (digestOf(status)) fact('Digest', element('code', {title: digestOf(status)}, shortDigest(digestOf(status))));
    if (status.staged) fact('Staged', status.staged.policy + ', version ' + (status.staged.policy_version ?? status.staged.version));
  } else if (report.policies.length) {
    const seen = report.policies[report.policies.length - 1];
    fact('Policy in the recording', 'version ' + seen.policy_version);
    if (seen.policy_digest) fact('Digest', element('code', {title: seen.policy_digest}, shortDigest(seen.policy_digest)));
  }
  byId('policy').replaceChildren(element('dl', {}, facts));
}

// The one that the sentence is about: the active one, else the last that decided.
function policyOfVerdict(report) {
  const digest = report.status && digestOf(report.status);
  return report.policies.find((seen) => seen.policy_digest && seen.policy_digest === digest) || report.policies[report.policies.length - 1];
}

// What matters most, as a sentence about one policy.
function verdict(report) {
  if (!report.recording.received) return ['No event is in this recording.'];
  const several = report.policies.length > 1, seen = policyOfVerdict(report);
  const counts = several ? seen.counts : report.counts;
  const denied = report.denied_programs.total, units = report.denied_units.total;
  const rest = several ? '. The figures below are of all ' + number(report.policies.length) + ' policies in this recording.'
    : '. They are about ' + plural(denied, 'program') + ', started by ' + plural(units, 'unit or executable', 'units or executables') + '.';
  const decided = counts.allowed + counts['would_deny'] + counts.refused;
  const strong = (count, outcome) => element('strong', {class: outcome}, number(count));
  const under = several ? 'Under version ' + seen.policy_version + ', ' : '';
  const sentence = (text) => under ? under + text : text[0].toUpperCase() + text.slice(1);
  if (counts.refused && counts['would_deny'])
    return [sentence('of ' + plural(decided, 'decision') + ', '), strong(counts.refused, 'refused'), ' were refusals. Enforcing all of the policy would have refused ',
      strong(counts['would_deny'], 'would_deny'), ' more', rest];
  if (counts.refused)
    return [sentence('of ' + plural(decided, 'decision') + ', '), strong(counts.refused, 'refused'), ' were refusals', rest];
  if (counts['would_deny'])
    return [sentence('nothing was refused. Had it been enforced, '), strong(counts['would_deny'], 'would_deny'), ' of ' + plural(decided, 'decision') + ' would have refused', rest];
  return [sentence('nothing was refused, and nothing would be: all ' + plural(decided, 'decision') + ' allowed what was asked for'), several ? rest : '.'];
}

// What no rule for the tools themselves can be told from.
function probes(report) {
  const denied = report.probes ? report.probes['would_deny'] + report.probes.refused : 0;
  return denied ? [plural(denied, 'denial') + ' of these ' + (denied === 1 ? 'is' : 'are') + ' of feature probes, by which loaders find out what the kernel can do. What they wanted itself is not among them; `bpfwarden why` has the rule for probes.'] : null;
}

function showFigures(report) {
  const figure = (outcome) => element('div', {class: 'figure ' + outcome},
    element('span', {class: 'value', 'data-count': outcome}, eventsLink(report.counts[outcome], [['outcome', outcome]], 'events: ' + OUTCOME_WORDS[outcome])),
    element('span', {class: 'label'}, OUTCOME_WORDS[outcome]));
  byId('figures').replaceChildren(...OUTCOMES.filter((outcome) => outcome !== 'staged' || report.counts.staged || (report.status && report.status.staged)).map(figure));
}

// So that nobody takes a gap for silence.
function gaps(report) {
  const {recording, status} = report, counters = (status && status.counters) || {};
  const lines = [];
  if (recording.missing)
    lines.push([element('strong', {}, plural(recording.missing, 'event')), ' between the first and the last of these ' + (recording.missing === 1 ? 'is' : 'are') + ' missing: dropped because nothing read them in time, or not in the recording.']);
  if (counters.dropped)
    lines.push(['The kernel has dropped ' + plural(counters.dropped, 'event') + ' since bpfwarden was first applied.']);
  if (counters.withheld)
    lines.push([plural(counters.withheld, 'allowed decision') + ' left no event: more than the policy’s log-allowed lets through.']);
  if (counters.quiet)
    lines.push([plural(counters.quiet, 'allowed decision') + ' left no event: their rule says log = false.']);
  if (recording.unreadable) lines.push([plural(recording.unreadable, 'line') + ' of the recording could not be read as an event.']);
  if (recording.outside) lines.push([plural(recording.outside, 'event') + ' before or after the span that was asked for: not counted.']);
  for (const note of report.notes) lines.push([note]);
  return lines;
}

function showRecording(report) {
  const {recording, counts} = report;
  const parts = [];
  if (recording.received) {
    const first = micros(recording.first), end = micros(recording.last);
    parts.push(element('p', {},
      element('span', {'data-count': 'received'}, number(recording.received)), ' events, ',
      element('time', {datetime: recording.first}, second(first)), ' to ', element('time', {datetime: recording.last}, second(end)),
      ' UTC (' + duration((end - first) / 1e6) + ').'));
  }
  const lines = gaps(report);
  if (lines.length)
    parts.push(element('ul', {class: recording.missing || recording.unreadable ? 'gaps warn' : 'gaps'}, lines.map((line) => element('li', {}, line))));
  else if (recording.received)
    parts.push(element('p', {class: 'complete'}, 'No gap: each event between the first and the last is here.'));
  byId('recording').replaceChildren(...parts);
  byId('verdict').replaceChildren(...verdict(report).map((part) => part instanceof Node ? part : document.createTextNode(part)));
  const unexplained = (report.programs || []).filter((row) => row.standing === 'UNEXPLAINED').length;
  if (unexplained)
    byId('verdict').after(element('p', {class: 'alarm'}, plural(unexplained, 'program') + ' in the kernel came after bpfwarden and not past its hooks. This must not be: see ', element('a', {href: '#programs'}, 'what runs'), '.'));
  byId('made').replaceChildren(element('p', {}, 'Made by bpfwarden ' + report.bpfwarden_version + ' on ' + second(micros(report.generated)) + ' UTC. Times are UTC. This page holds all its data and asks no network for anything.'));
}
