// Denials by program and by unit, what runs, and the matrix.

// Columns: {name, number?, cell: row => children}. On a narrow page a row becomes a card, with the
// column's name before each cell; the roles keep it a table for those who hear it.
function table(id, caption, columns, rows, attributes) {
  const head = element('tr', {role: 'row'}, columns.map((column) =>
    element('th', {scope: 'col', role: 'columnheader', class: column.number ? 'number' : null}, column.name)));
  const body = rows.map((row) => element('tr', {role: 'row'}, columns.map((column, i) =>
    element(i ? 'td' : 'th', {role: i ? 'cell' : 'rowheader', scope: i ? null : 'row', class: column.number ? 'number' : null, 'data-name': column.name}, column.cell(row)))));
  return element('table', {id, role: 'table', class: 'cards', ...attributes}, element('caption', {}, caption),
    element('thead', {role: 'rowgroup'}, head), element('tbody', {role: 'rowgroup'}, body));
}

const FEW = 10;

// Long tables show their first rows; the rest on demand, and in print.
function shortened(made, few = FEW) {
  const rows = [...made.querySelectorAll('tbody tr')];
  if (rows.length <= few + 2) return made;
  const button = element('button', {type: 'button', 'aria-expanded': 'false', 'aria-controls': made.id, onclick: () => {
    const open = button.getAttribute('aria-expanded') !== 'true';
    rows.slice(few).forEach((row) => row.classList.toggle('more', !open));
    button.setAttribute('aria-expanded', String(open));
    button.textContent = open ? 'Show fewer' : 'Show all ' + number(rows.length);
  }}, 'Show all ' + number(rows.length));
  rows.slice(few).forEach((row) => row.classList.add('more'));
  return [made, button];
}

// ---- Denials

function denialCounts(row, filter, max) {
  const count = row.would_deny + row.refused;
  const bar = element('span', {class: 'share ' + (row.refused ? 'refused' : 'would_deny'), 'aria-hidden': 'true'});
  bar.style.setProperty('--share', count / max);
  return [bar, eventsLink(count, [...filter, ...DENIED], 'denials')];
}

const reason = (report, row) => row.rule
  ? ['rule ', element('q', {}, row.rule)]
  : (report.causes[row.cause] || {reason: row.cause}).reason;

function deniedPrograms(report) {
  const {rows} = report.denied_programs, max = rows.length ? rows[0].would_deny + rows[0].refused : 1;
  const filter = (row) => [['hook', row.hook], ['program', row.program], ['attach', row.attach || ''], ['digest', row.digest || '']];
  return table('denied-programs', 'By program', [
    {name: 'Program', cell: (row) => [element('strong', {}, subject(row.program, row.hook)), row.probe ? element('span', {class: 'small'}, 'a feature probe') : null, row.digest ? element('code', {class: 'digest', title: row.digest}, row.digest.slice(7, 19)) : null]},
    {name: 'Would go to', cell: (row) => row.attach ? code(row.attach) : '–'},
    {name: 'Signed', cell: (row) => row.attach ? vouchTag(row.vouch) : '–'},
    {name: 'Why not', cell: (row) => reason(report, row)},
    {name: 'Last', cell: (row) => minute(micros(row.last))},
    {name: 'Denials', number: true, cell: (row) => denialCounts(row, filter(row), max)},
  ], rows);
}

function deniedUnits(report) {
  const {rows} = report.denied_units, max = rows.length ? rows[0].would_deny + rows[0].refused : 1;
  return table('denied-units', 'By who started it', [
    {name: 'Unit or executable', cell: (row) => element('strong', {}, row.unit || 'not known')},
    {name: 'Known by', cell: (row) => ({unit: 'its unit', exe: 'its executable', comm: 'its name alone'})[row.kind]},
    {name: 'Programs', number: true, cell: (row) => number(row.programs)},
    {name: 'Last', cell: (row) => minute(micros(row.last))},
    {name: 'Denials', number: true, cell: (row) => denialCounts(row, [['unit', row.unit], ['unit_kind', row.kind]], max)},
  ], rows);
}

function others(list, what) {
  const rest = list.total - list.rows.length;
  const denials = list.others.would_deny + list.others.refused;
  return rest ? element('p', {class: 'note'}, plural(rest, 'more ' + what) + ' with ' + plural(denials, 'denial') + ': ', code('bpfwarden report --json'), ' lists all.') : null;
}

function showDenials(report) {
  const parts = report.denied_programs.total
    ? [shortened(deniedPrograms(report)), others(report.denied_programs, 'program'), shortened(deniedUnits(report)), others(report.denied_units, 'unit')].flat()
    : [element('p', {class: 'empty good'}, report.recording.received ? 'None: no event in this recording is a denial.' : 'There is no recording to tell.')];
  if (probes(report)) parts.push(element('p', {class: 'note', id: 'probes'}, ...probes(report)));
  if (report.counts.rejected)
    parts.push(element('p', {class: 'note'}, 'Beside these, the kernel itself rejected ', eventsLink(report.counts.rejected, [['outcome', 'rejected']], 'rejections by the kernel'),
      ' signed ' + (report.counts.rejected === 1 ? 'load' : 'loads') + ' before any policy was asked: the signature did not verify, or its key is in no keyring.'));
  byId('denial-tables').replaceChildren(...parts.filter(Boolean));
}

// ---- What runs

const STANDINGS = ['UNEXPLAINED', 'would be denied', 'resident', 'admitted', 'bpfwarden'];
const STANDING_CLASS = {UNEXPLAINED: 'refused', 'would be denied': 'would_deny', resident: 'resident', admitted: 'allowed', bpfwarden: 'own'};

function programEvents(row) {
  const filter = row.digest ? [['digest', row.digest]] : [['program', row.program], ['attach', row.attach || '']];
  return eventsLink(row.events, filter, 'events about this program');
}

function heldBy(row) {
  const holders = (row.processes || []).map((one) => one.comm + ' (' + one.tgid + ')');
  const pins = (row.pins || []).map((pin) => code(pin));
  const all = [...pins, ...holders];
  if (!all.length) return '–';
  return all.slice(0, 3).map((one) => element('div', {}, one)).concat(all.length > 3 ? element('div', {}, 'and ' + (all.length - 3) + ' more') : []);
}

function programTable(rows) {
  return table('running', 'BPF programs in the kernel', [
    {name: 'Program', cell: (row) => [element('strong', {}, row.program || 'without a name'), element('span', {class: 'id'}, '#' + row.program_id)]},
    {name: 'Attached at', cell: (row) => row.attach_points.length ? row.attach_points.map((place) => element('div', {}, code(place))) : element('span', {class: 'none'}, 'loaded for ', code(row.attach || row.program_type))},
    {name: 'Who vouches', cell: (row) => [vouchTag(row.vouch), row.signature && row.signature !== 'unsigned' ? element('div', {class: 'small'}, row.signature) : null]},
    {name: 'Standing', cell: (row) => [element('span', {class: 'tag ' + (STANDING_CLASS[row.standing] || 'resident')}, row.standing),
      row.rule ? element('div', {class: 'small'}, 'rule ', element('q', {}, row.rule)) : null]},
    {name: 'Held by', cell: heldBy},
    {name: 'Events', number: true, cell: programEvents},
  ], rows);
}

function showPrograms(report) {
  const target = byId('program-table');
  if (!report.programs) {
    target.replaceChildren(element('p', {class: 'empty'}, 'Not part of this report: give it ', code('--inventory FILE'), ', made by ', code('bpfwarden inventory --json'), '.'));
    return;
  }
  const all = report.programs, list = element('div', {});
  const unsigned = (row) => row.vouch === 'unsigned';
  const choices = [['All', () => true], ['Unsigned', unsigned], ...STANDINGS.map((standing) => [standing, (row) => row.standing === standing])];
  const show = (fits) => list.replaceChildren(...[shortened(programTable(all.filter(fits)), 15)].flat());
  const buttons = choices.map(([name, fits]) => [name, fits, all.filter(fits).length]).filter(([name, , count]) => count || name === 'All')
    .map(([name, fits, count], i) => element('button', {type: 'button', 'aria-pressed': String(i === 0), onclick: (event) => {
      buttons.forEach((button) => button.setAttribute('aria-pressed', String(button === event.currentTarget)));
      show(fits);
    }}, name === 'bpfwarden' ? 'bpfwarden’s own' : name[0].toUpperCase() + name.slice(1).toLowerCase(), element('span', {class: 'badge'}, number(count))));
  show(() => true);
  target.replaceChildren(element('div', {class: 'choices', role: 'group', 'aria-label': 'Which programs'}, buttons), list);
}

// ---- Keys × attach points

// Cells: {vouch, family, count, denied, filter?}
function cellsOfEvents(report) {
  return report.matrix.map((cell) => ({vouch: cell.vouch, family: cell.family,
    count: cell.allowed + cell['would_deny'] + cell.refused, denied: cell['would_deny'] + cell.refused}))
    .filter((cell) => cell.count);
}

function cellsOfPrograms(report) {
  const cells = new Map();
  for (const row of report.programs || []) {
    const family = row.family || row.program_type, name = row.vouch + '\n' + family;
    const cell = cells.get(name) || {vouch: row.vouch, family, count: 0, denied: 0};
    cell.count++;
    if (row.standing === 'would be denied' || row.standing === 'UNEXPLAINED') cell.denied++;
    cells.set(name, cell);
  }
  return [...cells.values()];
}

const VOUCH_ORDER = ['unsigned', 'unknown-key', 'unknown'];
const orderOf = (vouch) => VOUCH_ORDER.includes(vouch) ? VOUCH_ORDER.indexOf(vouch) - 10 : vouch === 'bpfwarden' ? 10 : 0;

function matrixTable(cells, isEvents) {
  const rows = [...new Set(cells.map((cell) => cell.vouch))].sort((a, b) => orderOf(a) - orderOf(b) || (a < b ? -1 : 1));
  const columns = [...new Set(cells.map((cell) => cell.family))].sort();
  const most = Math.max(1, ...cells.map((cell) => cell.count));
  const at = new Map(cells.map((cell) => [cell.vouch + '\n' + cell.family, cell]));
  const sum = (fits) => cells.filter(fits).reduce((total, cell) => total + cell.count, 0);
  const shown = (count, filter, label) => isEvents ? eventsLink(count, filter, label) : number(count);
  const cell = (vouch, family) => {
    const found = at.get(vouch + '\n' + family);
    if (!found) return element('td', {class: 'number none'}, '·');
    const filter = [['vouch', vouch], ['family', family], ...LOADS, ...DECIDED];
    const made = element('td', {class: 'number heat'}, shown(found.count, filter, 'loads: ' + vouchWords(vouch) + ' × ' + family),
      found.denied ? element('div', {class: 'denied'}, found.denied === found.count ? 'all' : isEvents ? eventsLink(found.denied, [['vouch', vouch], ['family', family], ...LOADS, ...DENIED], 'denials') : number(found.denied), ' denied') : null);
    made.style.setProperty('--heat', Math.log1p(found.count) / Math.log1p(most));
    return made;
  };
  const head = element('tr', {}, element('td', {}), columns.map((family) => element('th', {scope: 'col'}, code(family || '–'))), element('th', {scope: 'col'}, 'all'));
  const body = rows.map((vouch) => element('tr', {}, element('th', {scope: 'row'}, vouchTag(vouch)), columns.map((family) => cell(vouch, family)),
    element('td', {class: 'number total'}, shown(sum((one) => one.vouch === vouch), [['vouch', vouch], ...LOADS, ...DECIDED]))));
  const foot = element('tr', {}, element('th', {scope: 'row'}, 'all'), columns.map((family) => element('td', {class: 'number total'},
    shown(sum((one) => one.family === family), [['family', family], ...LOADS, ...DECIDED]))), element('td', {class: 'number total'}, shown(sum(() => true), [...LOADS, ...DECIDED])));
  return element('table', {id: 'matrix-cells', class: 'matrix'}, element('caption', {}, isEvents ? 'Loads decided upon, by who signed and where they would go' : 'Programs in the kernel, by who vouches and where they go'),
    element('thead', {}, head), element('tbody', {}, body), element('tfoot', {}, foot));
}

const DECIDED = [['outcome', 'allowed'], ['outcome', 'would_deny'], ['outcome', 'refused']];

function showMatrix(report) {
  const kinds = [['Loads in the recording', cellsOfEvents(report), true]];
  if (report.programs) kinds.push(['In the kernel now', cellsOfPrograms(report), false]);
  const list = element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Keys by attach points'});
  const show = ([, cells, isEvents]) => list.replaceChildren(cells.length ? matrixTable(cells, isEvents) : element('p', {class: 'empty'}, 'There is none.'));
  const buttons = kinds.map((kind, i) => element('button', {type: 'button', 'aria-pressed': String(i === 0), onclick: (event) => {
    buttons.forEach((button) => button.setAttribute('aria-pressed', String(button === event.currentTarget)));
    show(kind);
  }}, kind[0]));
  show(kinds[0]);
  byId('matrix-table').replaceChildren(element('div', {class: 'choices', role: 'group', 'aria-label': 'What is counted'}, buttons), list);
}
