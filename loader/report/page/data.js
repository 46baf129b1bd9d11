// The events, and which of them a filter means. A filter is a list of [field, value]: values of one
// field are alternatives, fields add up. It lives in the address (#outcome=refused&unit=x.service),
// so that each number is a link, and the browser's back button goes back.

const SPECIAL = ['from', 'to', 'q'];

async function unpack(base64) {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return JSON.parse(await new Response(stream).text());
}

class Events {
  constructor(columns) {
    this.total = columns.total;
    this.texts = columns.texts;
    let known = 0;
    this.shape = columns.shape.map((number) => number ? number - 1 : known++);
    this.programId = columns.program_id;
    this.tgid = columns.tgid;
    this.time = sums(columns.time);
    this.sequence = sums(columns.sequence);
    // Of each field, by shape: the number of its text.
    this.fields = Object.fromEntries(Object.entries(columns.fields).map(([name, column]) => [name, sums(column)]));
    this.shapes = this.fields.outcome.length;
    this.count = this.time.length;
  }

  // Of a shape.
  text(shape, field) { return this.texts[this.fields[field][shape]]; }

  // Numbers of events, newest first.
  matching(filter) {
    const from = last(filter, 'from'), to = last(filter, 'to'), words = last(filter, 'q');
    const start = from ? micros(from) : -Infinity, end = to ? micros(to) : Infinity;
    const fits = this.fittingShapes(filter);
    const spoken = words ? this.shapesWith(words.toLowerCase()) : null;
    const found = [];
    for (let i = this.count - 1; i >= 0; i--) {
      if (!fits[this.shape[i]] || this.time[i] < start || this.time[i] >= end) continue;
      if (spoken && !spoken[this.shape[i]] && String(this.tgid[i]) !== words &&
          String(this.programId[i]) !== words && '#' + this.sequence[i] !== words) continue;
      found.push(i);
    }
    return found;
  }

  fittingShapes(filter) {
    const wanted = new Map();
    for (const [field, value] of filter)
      if (!SPECIAL.includes(field)) wanted.set(field, (wanted.get(field) || new Set()).add(value));
    return this.ofShapes((shape) => [...wanted].every(([field, values]) =>
      Object.hasOwn(this.fields, field) && values.has(this.text(shape, field))));
  }

  shapesWith(words) {
    const has = this.texts.map((text) => text.toLowerCase().includes(words));
    const columns = Object.values(this.fields);
    return this.ofShapes((shape) => columns.some((column) => has[column[shape]]));
  }

  ofShapes(fits) { return Array.from({length: this.shapes}, (_, shape) => fits(shape)); }

  // What a field has been, with how often, most first.
  values(field) {
    const perShape = new Array(this.shapes).fill(0);
    for (const shape of this.shape) perShape[shape]++;
    const counts = new Map();
    perShape.forEach((count, shape) => {
      const value = this.text(shape, field);
      counts.set(value, (counts.get(value) || 0) + count);
    });
    return [...counts].sort((a, b) => b[1] - a[1]);
  }
}

function sums(deltas) {
  const values = new Float64Array(deltas.length);
  let sum = 0;
  for (let i = 0; i < deltas.length; i++) values[i] = sum += deltas[i];
  return values;
}

function last(filter, field) {
  for (let i = filter.length - 1; i >= 0; i--) if (filter[i][0] === field) return filter[i][1];
  return '';
}

const readFilter = () =>
  location.hash.includes('=') ? [...new URLSearchParams(location.hash.slice(1))] : [];
const filterAddress = (filter) => '#' + new URLSearchParams(filter).toString();

// A number that shows the events behind it.
function eventsLink(count, filter, label) {
  if (!count) return element('span', {class: 'none'}, '0');
  return element('a', {href: filterAddress(filter), class: 'count', 'aria-label': label && number(count) + ' ' + label},
    number(count));
}

const DENIED = [['outcome', 'would_deny'], ['outcome', 'refused']];
const LOADS = [['hook', 'bpf_prog_load'], ['hook', 'bpf_prog']];
