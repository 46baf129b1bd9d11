// The events behind the numbers: filtered, alone or identical ones together, each with all it says.

const FIELD_WORDS = {
  outcome: 'outcome', hook: 'seen at', vouch: 'signed by', family: 'attach points', attach: 'attach point',
  program: 'program', digest: 'digest', unit: 'started by', unit_kind: 'known by', rule: 'rule', cause: 'cause', exe: 'executable',
  policy_digest: 'policy', policy_version: 'policy version', from: 'from', to: 'before', q: 'text',
};
const DETAIL_WORDS = {
  hook: 'Seen at', decision: 'The policy says', active_decision: 'The active policy said', errno: 'The caller got', wanted_key: 'Key that is in no keyring', mode: 'Mode',
  rule: 'Rule', rule_line: 'Line of the policy', cause: 'Cause', almost: 'Came near', signature: 'Signature', vouch: 'Signed by',
  origin: 'Origin', attach: 'Attach point', route: 'Attached by', digest: 'SHA-256 of the program', loader_digest: 'SHA-256 of its loader',
  unit: 'Started by', exe: 'Executable', comm: 'Process', uid: 'User', cgroup: 'Cgroup', policy_version: 'Policy version',
  policy_digest: 'Policy digest',
};
const PAGE_ROWS = 25;
const HIDDEN_CHIPS = ['unit_kind'];

class EventView {
  constructor(events, report) {
    this.events = events;
    this.report = report;
    this.grouped = false;
    this.rows = element('tbody', {role: 'rowgroup'});
    this.status = element('p', {class: 'note', role: 'status', id: 'event-count'});
    this.chips = element('ul', {class: 'chips', 'aria-label': 'Filters'});
    this.more = element('button', {type: 'button', onclick: () => this.addRows(200)}, 'Show more');
    this.form = this.makeForm();
    byId('event-view').replaceChildren(...[this.carried(), this.form, this.chips, this.status, this.makeTable(), this.more].filter(Boolean));
  }

  carried() {
    const {count, total} = this.events;
    return count < total ? element('p', {class: 'note warn'}, 'The numbers above count all ' + number(total) + ' events. To look at, this page carries ' + number(count) + ': denials and rejections first, then the newest.') : null;
  }

  makeForm() {
    const choose = (field, name, words) => element('label', {}, name, element('select', {name: field, onchange: () => this.formChanged()},
      element('option', {value: ''}, 'any'), this.events.values(field).filter(([value]) => value !== '').map(([value, count]) => {
        const option = element('option', {}, words(value) + ' (' + number(count) + ')');
        option.value = value;
        return option;
      })));
    return element('form', {class: 'filter', role: 'search', 'aria-label': 'Events', onsubmit: (event) => { event.preventDefault(); this.formChanged(); }},
      choose('outcome', 'Outcome', (value) => OUTCOME_WORDS[value]), choose('vouch', 'Signed by', vouchWords), choose('family', 'Attach points', String),
      element('label', {class: 'wide'}, 'Text', element('input', {type: 'search', name: 'q', placeholder: 'program, unit, digest, pid, #number', autocomplete: 'off', spellcheck: 'false',
        onchange: () => this.formChanged()})),
      element('label', {class: 'check'}, element('input', {type: 'checkbox', name: 'grouped', onchange: (event) => { this.grouped = event.currentTarget.checked; this.show(); }}), 'Identical ones together'));
  }

  makeTable() {
    const head = ['When (UTC)', 'Outcome', 'Program', 'Signed by', 'Started by', 'Why'];
    return element('table', {id: 'event-table', role: 'table', class: 'cards'}, element('caption', {class: 'spoken'}, 'Events'),
      element('thead', {role: 'rowgroup'}, element('tr', {role: 'row'}, head.map((name) => element('th', {scope: 'col', role: 'columnheader'}, name)))), this.rows);
  }

  // From the form into the address; what only links can ask for stays.
  formChanged() {
    const fields = ['outcome', 'vouch', 'family', 'q'];
    const kept = this.filter.filter(([field]) => !fields.includes(field));
    const asked = fields.map((field) => [field, this.form.elements[field].value]).filter(([, value]) => value);
    this.apply([...kept, ...asked]);
  }

  apply(filter) {
    history.pushState(null, '', filter.length ? filterAddress(filter) : '#events');
    this.setFilter(filter);
  }

  setFilter(filter) {
    this.filter = filter;
    for (const field of ['outcome', 'vouch', 'family', 'q']) {
      const values = filter.filter(([name]) => name === field);
      this.form.elements[field].value = values.length === 1 ? values[0][1] : '';
    }
    this.chips.replaceChildren(...filter.filter(([field]) => !HIDDEN_CHIPS.includes(field)).map((one) => this.chip(one)),
      ...(filter.length ? [element('li', {}, element('button', {type: 'button', class: 'quiet', onclick: () => this.apply([])}, 'Show all events'))] : []));
    this.show();
  }

  chip([field, value]) {
    const words = field === 'outcome' ? OUTCOME_WORDS[value] || value : field === 'vouch' ? vouchWords(value)
      : field === 'from' || field === 'to' ? second(micros(value)) : field.endsWith('digest') && value ? shortDigest(value) : value || 'none';
    const name = FIELD_WORDS[field] || field;
    return element('li', {}, element('button', {type: 'button', class: 'chip', 'aria-label': 'Without the filter ' + name + ' ' + words,
      onclick: () => this.apply(this.filter.filter((one) => one[0] !== field || one[1] !== value))}, name + ' ', element('b', {}, words), element('span', {'aria-hidden': 'true'}, ' ×')));
  }

  show() {
    const found = this.events.matching(this.filter);
    this.found = found;
    this.list = this.grouped ? this.groups(found) : found.map((i) => ({i, count: 1}));
    this.shown = 0;
    this.rows.replaceChildren();
    this.addRows(PAGE_ROWS);
  }

  groups(found) {
    const groups = new Map();
    for (const i of found) {
      const group = groups.get(this.events.shape[i]);
      if (group) { group.count++; group.first = i; } else groups.set(this.events.shape[i], {i, first: i, count: 1});
    }
    return [...groups.values()].sort((a, b) => b.count - a.count);
  }

  addRows(count) {
    const next = this.list.slice(this.shown, this.shown + count);
    this.rows.append(...next.map((one) => this.row(one)));
    this.shown += next.length;
    this.more.hidden = this.shown >= this.list.length;
    const kinds = this.grouped ? ', ' + plural(this.list.length, 'kind') : '';
    this.status.textContent = this.events.count === 0 ? 'There are no events.'
      : plural(this.found.length, 'event') + kinds + (this.filter.length ? ' of ' + number(this.events.count) : '') +
        (this.shown < this.list.length ? '; the ' + (this.grouped ? 'most frequent ' : 'newest ') + number(this.shown) + ' are shown.' : '.');
    this.status.dataset.count = this.found.length;
  }

  row(one) {
    const {events} = this, {i, count} = one, shape = events.shape[i], text = (field) => events.text(shape, field);
    const button = element('button', {type: 'button', class: 'when', 'aria-expanded': 'false', onclick: () => this.toggle(button, row, one)},
      element('span', {}, day(events.time[i])), ' ', element('span', {}, clock(events.time[i])));
    const cells = [
      [tag(text('outcome')), count > 1 ? element('div', {class: 'small'}, '× ' + number(count)) : null],
      [element('strong', {}, subject(text('program'), text('hook'))), text('attach') ? element('div', {}, code(text('attach'))) : null],
      [text('attach') ? vouchTag(text('vouch')) : '–'],
      [text('unit') || 'not known', element('div', {class: 'small'}, text('comm') + ', pid ' + events.tgid[i] + ', uid ' + text('uid'))],
      [this.why(text)],
    ];
    const names = ['Outcome', 'Program', 'Signed by', 'Started by', 'Why'];
    const row = element('tr', {role: 'row', 'data-sequence': events.sequence[i]}, element('th', {scope: 'row', role: 'rowheader', 'data-name': 'When'}, button),
      cells.map((cell, at) => element('td', {role: 'cell', 'data-name': names[at]}, cell)));
    return row;
  }

  why(text) {
    if (text('outcome') === 'rejected') return errnoWords(text('errno'));
    if (text('rule')) return ['rule ', element('q', {}, text('rule'))];
    return (this.report.causes[text('cause')] || {reason: text('cause')}).reason;
  }

  toggle(button, row, one) {
    const open = button.getAttribute('aria-expanded') !== 'true';
    button.setAttribute('aria-expanded', String(open));
    if (open) row.after(element('tr', {role: 'row', class: 'detail'}, element('td', {role: 'cell', colspan: 6}, this.detail(one))));
    else row.nextElementSibling.remove();
  }

  detail({i, first, count}) {
    const {events} = this, shape = events.shape[i], text = (field) => events.text(shape, field);
    const cause = this.report.causes[text('cause')];
    const facts = [['Event', '#' + events.sequence[i] + ', ' + day(events.time[i]) + ' ' + iso(events.time[i]).slice(11, -1) + ' UTC']];
    if (count > 1) facts.push(['Identical', number(count) + ' events, the first ' + second(events.time[first])]);
    if (events.programId[i]) facts.push(['Program id', events.programId[i]]);
    facts.push(['Process id', events.tgid[i]]);
    for (const [field, words] of Object.entries(DETAIL_WORDS)) {
      const value = text(field);
      if (!value || (field === 'errno' && value === '0')) continue;
      facts.push([words, field === 'vouch' ? vouchWords(value) : field === 'errno' ? errnoWords(value)
        : field === 'almost' ? value.split('\n').map((line) => element('div', {}, line)) : value]);
    }
    return [
      cause && text('decision') === 'deny' ? element('p', {class: 'next'}, element('b', {}, 'What to do: '), cause.next) : null,
      element('dl', {class: 'facts'}, facts.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value)))),
      element('p', {}, element('a', {href: filterAddress([['program', text('program')], ['attach', text('attach')], ['hook', text('hook')]])}, 'All events of this program'), ' · ',
        element('a', {href: filterAddress([['unit', text('unit')], ['unit_kind', text('unit_kind')]])}, 'All events of ' + (text('unit') || 'this starter'))),
    ];
  }
}
