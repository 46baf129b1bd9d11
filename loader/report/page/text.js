'use strict';
// Texts and elements. Whatever comes from the data ends in text nodes: nothing here parses HTML.

// What a name could hide with: control characters, and those that turn the direction of text.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const visible = (text) =>
  String(text).replace(HIDDEN, (c) => '\\x' + c.charCodeAt(0).toString(16).padStart(2, '0'));

const number = (value) => Number(value).toLocaleString('en-US');
const plural = (count, one, many = one + 's') => number(count) + ' ' + (count === 1 ? one : many);

// element('td', {class: 'x', 'aria-label': '…'}, child, …): children are elements or text.
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  fill(made, attributes, children);
  return made;
}

function drawing(name, attributes, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  fill(made, attributes, children);
  return made;
}

function fill(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? '' : key === 'href' ? value : visible(value));
  }
  for (const child of children.flat(Infinity))
    if (child !== null && child !== undefined && child !== false)
      made.append(child instanceof Node ? child : visible(child));
}

const byId = (id) => document.getElementById(id);

// ---- Moments: all in UTC, in microseconds since 1970.

const micros = (text) => {
  const found = /^(.*T\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z$/.exec(text);
  return found ? Date.parse(found[1] + 'Z') * 1000 + Number((found[2] || '0').padEnd(6, '0')) : NaN;
};
const iso = (moment) => new Date(Math.floor(moment / 1000)).toISOString();
const day = (moment) => iso(moment).slice(0, 10);
const clock = (moment) => iso(moment).slice(11, 19);
const minute = (moment) => day(moment) + ' ' + iso(moment).slice(11, 16);
const second = (moment) => day(moment) + ' ' + clock(moment);

function duration(seconds) {
  if (seconds < 1) return 'less than a second';
  const units = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];
  const at = units.findIndex(([, size]) => seconds >= size);
  const [name, size] = units[at];
  const whole = Math.floor(seconds / size);
  const next = units[at + 1];
  const rest = next ? Math.floor((seconds - whole * size) / next[1]) : 0;
  return plural(whole, name) + (rest ? ' ' + plural(rest, next[0]) : '');
}

// ---- Words

// Without its `sha256:`, and not all of it.
const shortDigest = (digest) => digest.replace('sha256:', '').slice(0, 16) + '…';

const OUTCOMES = ['allowed', 'would_deny', 'refused', 'rejected', 'staged'];
const OUTCOME_WORDS = {
  allowed: 'Allowed',
  'would_deny': 'Would be denied',
  refused: 'Refused',
  rejected: 'Rejected by the kernel',
  staged: 'Staged policy differs',
};
const SUBJECTS = {
  bpf_map_create: 'a loader’s map',
  'token-create': 'a BPF token',
  'harden': 'what [harden] closes',
  key_permission: 'bpfwarden’s keyring',
  observed: 'a signed program',
};

function vouchWords(vouch) {
  if (vouch.startsWith('key:')) return vouch.slice(4);
  return {
    unsigned: 'unsigned',
    'unknown-key': 'a key the policy does not know',
    bpfwarden: 'bpfwarden itself',
    unknown: 'not known',
  }[vouch] || vouch;
}

const tag = (outcome) => element('span', {class: 'tag ' + outcome}, OUTCOME_WORDS[outcome] || outcome);
const vouchTag = (vouch) =>
  element('span', {class: 'vouch ' + (vouch.startsWith('key:') ? 'key' : vouch)}, vouchWords(vouch));
const subject = (program, hook) => program || SUBJECTS[hook] || 'without a name';
const code = (text) => element('code', {}, text);

// ERRNO names that the kernel gives loads.
const ERRNO = {1: 'EPERM', 7: 'E2BIG', 13: 'EACCES', 22: 'EINVAL', 74: 'EBADMSG', 126: 'ENOKEY',
  127: 'EKEYEXPIRED', 128: 'EKEYREVOKED', 129: 'EKEYREJECTED'};
const errnoWords = (error) => ERRNO[error] ? ERRNO[error] + ' (' + error + ')' : error;
