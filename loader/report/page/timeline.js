// Decisions over time: a lane for each outcome, each to its own scale, so that a few refusals are
// seen beside many admissions. Arrow keys go from bar to bar; a bar shows its events.

const LANE_HEIGHT = 44;
const LANE_WORDS = {
  allowed: 'allowed', 'would_deny': 'would-be denials', refused: 'refusals',
  rejected: 'rejections by the kernel', staged: 'differences of the staged policy',
};

function stepWords(seconds) {
  return seconds % 86400 === 0 && seconds > 86400 ? plural(seconds / 86400, 'day') : duration(seconds);
}

function showTimeline(report) {
  const {timeline} = report;
  const start = micros(timeline.start), step = timeline.step_seconds * 1e6;
  if (!step) {
    byId('timeline').replaceChildren(element('p', {class: 'empty'}, 'There is nothing to show: the recording is empty.'));
    return;
  }
  const bins = timeline.lanes.allowed.length, end = start + bins * step;
  const place = {start, step, bins, end, share: (moment) => (moment - start) / (end - start)};
  const shown = OUTCOMES.filter((outcome) => report.counts[outcome]);
  byId('timeline').replaceChildren(...[
    element('p', {class: 'note'}, 'Each bar is ' + stepWords(timeline.step_seconds) + '; each lane has its own scale.'),
    element('div', {class: 'lanes'}, shown.map((outcome) => lane(outcome, timeline.lanes[outcome], place, report)), axis(place)),
    policyChanges(report), timelineTable(timeline, place, shown)].filter(Boolean));
}

function lane(outcome, counts, place, report) {
  const most = Math.max(...counts);
  const bars = counts.map((count, bin) => count ? bar(outcome, count, bin, most, place) : null).filter(Boolean);
  if (bars.length) bars[0].setAttribute('tabindex', '0');
  const chart = drawing('svg', {viewBox: '0 0 ' + place.bins * 10 + ' ' + LANE_HEIGHT, preserveAspectRatio: 'none', role: 'group',
    'aria-label': OUTCOME_WORDS[outcome] + ' over time; arrow keys go from bar to bar', onkeydown: walk}, bars);
  const marks = changesOf(report).map((seen) => {
    const mark = element('span', {class: 'mark'});
    mark.style.left = 100 * place.share(micros(seen.first)) + '%';
    return mark;
  });
  return element('div', {class: 'lane ' + outcome},
    element('p', {class: 'lane-name'}, element('span', {}, OUTCOME_WORDS[outcome]), element('span', {class: 'most'}, 'at most ' + number(most))),
    element('div', {class: 'chart'}, chart, marks));
}

function bar(outcome, count, bin, most, place) {
  const from = place.start + bin * place.step;
  const height = Math.max(2, count / most * (LANE_HEIGHT - 2));
  const filter = [['outcome', outcome], ['from', iso(from)], ['to', iso(from + place.step)]];
  const words = second(from) + ': ' + number(count) + ' ' + LANE_WORDS[outcome];
  const link = drawing('a', {href: filterAddress(filter), tabindex: '-1', 'aria-label': words},
    drawing('title', {}, words),
    drawing('rect', {class: 'hit', x: bin * 10, y: 0, width: 10, height: LANE_HEIGHT}),
    drawing('rect', {class: 'bar', x: bin * 10 + (place.bins > 1 ? 1 : 0), y: LANE_HEIGHT - height, width: place.bins > 1 ? 8 : 10, height}));
  return link;
}

function walk(event) {
  const to = {ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity}[event.key];
  if (to === undefined) return;
  const bars = [...event.currentTarget.querySelectorAll('a')];
  const now = bars.indexOf(document.activeElement);
  const next = bars[Math.min(Math.max(now + to, 0), bars.length - 1)];
  bars.forEach((bar) => bar.setAttribute('tabindex', '-1'));
  next.setAttribute('tabindex', '0');
  next.focus();
  event.preventDefault();
}

function axis(place) {
  const wanted = Math.min(6, place.bins);
  const every = Math.max(1, Math.ceil(place.bins / wanted));
  const ticks = [];
  let shownDay = '';
  for (let bin = 0; bin < place.bins; bin += every) {
    const moment = place.start + bin * place.step;
    const time = place.step >= 86400e6 ? '' : place.step < 60e6 ? clock(moment) : clock(moment).slice(0, 5);
    const date = day(moment) === shownDay && time ? '' : day(moment);
    shownDay = day(moment);
    const tick = element('span', {class: 'tick'}, element('span', {}, time || date), time && date ? element('span', {}, date) : null);
    tick.style.left = 100 * bin / place.bins + '%';
    ticks.push(tick);
  }
  return element('div', {class: 'axis', 'aria-hidden': 'true'}, element('div', {class: 'ticks'}, ticks));
}

const changesOf = (report) => report.policies.slice(1);

function policyChanges(report) {
  if (!changesOf(report).length) return null;
  return element('p', {class: 'note marks'}, changesOf(report).length > 1 ? 'Dashed lines: ' : 'Dashed line: ', changesOf(report).map((seen, i) => [
    i ? '; ' : '', 'policy version ' + seen.policy_version + ' from ' + second(micros(seen.first)) + ' (',
    eventsLink(seen.events, [['policy_digest', seen.policy_digest || ''], ['policy_version', String(seen.policy_version)]], 'events of policy version ' + seen.policy_version), ' events)']).flat(), '.');
}

// The same for those who do not see the bars, and for whoever wants the numbers.
function timelineTable(timeline, place, shown) {
  const rows = [];
  for (let bin = 0; bin < place.bins; bin++) {
    const from = place.start + bin * place.step;
    if (!shown.some((outcome) => timeline.lanes[outcome][bin])) continue;
    rows.push(element('tr', {}, element('th', {scope: 'row'}, second(from)), shown.map((outcome) =>
      element('td', {class: 'number'}, eventsLink(timeline.lanes[outcome][bin],
        [['outcome', outcome], ['from', iso(from)], ['to', iso(from + place.step)]])))));
  }
  return element('details', {class: 'as-table'}, element('summary', {}, 'The same as a table'),
    element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Decisions over time, as a table'},
      element('table', {id: 'timeline-table'}, element('thead', {}, element('tr', {}, element('th', {scope: 'col'}, 'From (UTC)'),
        shown.map((outcome) => element('th', {scope: 'col', class: 'number'}, OUTCOME_WORDS[outcome])))), element('tbody', {}, rows))));
}
