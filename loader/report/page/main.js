// Puts the page together, and marks when it is ready: before the events are unpacked nothing waits
// for them.

const THEMES = ['auto', 'light', 'dark'];

function setTheme(theme) {
  const root = document.documentElement, button = byId('theme');
  if (theme === 'auto') delete root.dataset.theme;
  else root.dataset.theme = theme;
  button.textContent = theme[0].toUpperCase() + theme.slice(1);
  button.setAttribute('aria-label', 'Colours: ' + (theme === 'auto' ? 'as the system says' : theme) + '. Change');
  button.dataset.theme = theme;
  try { localStorage.setItem('bpfwarden-theme', theme); } catch { /* a page from a file may keep nothing */ }
}

function startTheme() {
  let kept = 'auto';
  try { kept = localStorage.getItem('bpfwarden-theme') || 'auto'; } catch { /* likewise */ }
  setTheme(THEMES.includes(kept) ? kept : 'auto');
  byId('theme').addEventListener('click', () =>
    setTheme(THEMES[(THEMES.indexOf(byId('theme').dataset.theme) + 1) % THEMES.length]));
}

function showOverview(report) {
  showPolicy(report);
  showFigures(report);
  showRecording(report);
  showTimeline(report);
  showDenials(report);
  showPrograms(report);
  showMatrix(report);
}

// A link with a filter shows its events, and the reader goes there.
function followAddress(view) {
  const filter = readFilter();
  const isSection = location.hash.length > 1 && !filter.length && location.hash !== '#events';
  if (!isSection || !view.filter) view.setFilter(filter);
  if (!filter.length) return;
  byId('events-title').focus({preventScroll: true});
  byId('events').scrollIntoView();
}

async function start() {
  const report = JSON.parse(byId('report-data').textContent);
  startTheme();
  showOverview(report);
  performance.mark('overview');
  const view = new EventView(new Events(await unpack(byId('event-data').textContent)), report);
  followAddress(view);
  addEventListener('hashchange', () => followAddress(view));
  document.documentElement.dataset.ready = 'yes';
  performance.mark('ready');
}

start().catch((error) => {
  byId('event-view').replaceChildren(element('p', {class: 'note warn', role: 'alert'},
    'The events of this page cannot be shown here (' + error.message + '). A browser of 2023 or later is needed; the numbers above do not depend on it.'));
  throw error;
});
