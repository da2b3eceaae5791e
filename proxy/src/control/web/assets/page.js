// The page: asks once a second for what `openclaw top` shows, makes rates of the counters, and gives orders where a token is known.

import { curve, millis, quantile, rate, short, span, whole } from './figures.js';

const EVERY = 1000;
/** How many values a sparkline shows. */
const ROOM = 60;
/** Rows of one table; the busiest stay. */
const MOST_ROWS = 100;
const MOST_NEWS = 50;
const SVG = 'http://www.w3.org/2000/svg';

const at = (id) => document.getElementById(id);

/** An element with its classes and content; nothing that comes from outside is ever markup. */
function make(name, classes = '', content = []) {
  const element = document.createElement(name);
  if (classes) element.className = classes;
  element.append(...[content].flat());
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// What is known.

let now = null;
let before = null;
let token = null;
let isPaused = false;
let lastSeen = null;
const histories = new Map();
const news = [];

/** What happened to a counter that is found in both samples; none yet is 0. */
function per(of) {
  if (!before) return 0;
  const seconds = now.uptime - before.uptime;
  return rate(of(now) ?? 0, of(before) ?? 0, seconds > 0 ? seconds : 1);
}

const figure = (value, alarm = false) => ({ value, text: short(value), alarm: alarm && value > 0 });
const count = (value) => ({ value, text: whole(value) });
const word = (text, classes = 'text') => ({ value: text, text, classes });
const time = (value) => ({ value: value ?? -1, text: value === null ? '–' : millis(value) });

// Each table: its columns (the first is the name, `line` a sparkline, `act` buttons), and its rows from what is known.

const VIEWS = [
  {
    id: 'nic', title: 'NIC', about: 'interfaces, as the kernel counts them',
    columns: ['interface', 'rx pkt/s', 'rx B/s', 'drop/s', 'tx pkt/s', 'tx B/s', 'XDP', 'line'],
    empty: 'The system shows no interface that is up.',
    rows: () => now.interfaces.map((one) => {
      const of = (key) => per((all) => all.interfaces.find((other) => other.name === one.name)?.[key]);
      const drops = of('rx_dropped');
      return {
        key: one.name, name: [one.name], level: drops > 0 ? 'warn' : '', line: of('rx_packets'),
        cells: [figure(of('rx_packets')), figure(of('rx_bytes')), figure(drops, true), figure(of('tx_packets')), figure(of('tx_bytes')), word(one.xdp ?? '–')],
      };
    }),
  },
  {
    id: 'xdp', title: 'XDP', about: 'what the kernel program decides, by reason',
    columns: ['reason', 'pkt/s', 'B/s', 'packets', 'verdict', 'line'],
    empty: 'No interface carries the shield; shield.interfaces names those that should.',
    rows: () => now.stages.map((one) => {
      const of = (key) => per((all) => all.stages.find((other) => other.interface === one.interface && other.reason === one.reason)?.[key]);
      const packets = of('packets');
      return {
        key: `${one.interface} ${one.reason}`, name: [one.reason, one.interface], level: one.verdict === 'drop' && packets > 0 ? 'bad' : '', line: packets,
        cells: [figure(packets, true), figure(of('bytes')), count(one.packets), word(one.verdict)],
      };
    }),
  },
  {
    id: 'listeners', title: 'Listeners', about: 'connections and requests by where they come in',
    columns: ['name', 'open', 'conn/s', 'req/s', '5xx/s', 'in B/s', 'out B/s', 'line'],
    empty: 'There is no listener.',
    rows: () => now.listeners.map((one) => {
      const of = (key) => per((all) => all.listeners.find((other) => other.name === one.name)?.[key]);
      const errors = of('errors');
      return {
        key: one.name, name: [one.name, [...one.addresses, ...one.protocols].join(' ')], level: errors > 0 ? 'bad' : '', line: of('requests') || of('accepted'),
        cells: [count(Math.max(0, one.open)), figure(of('accepted')), figure(of('requests')), figure(errors, true), figure(of('bytes_in')), figure(of('bytes_out'))],
      };
    }),
  },
  {
    id: 'routes', title: 'Routes', about: 'answers and the time to them',
    columns: ['name', 'req/s', '4xx/s', '5xx/s', 'p50', 'p99', 'out B/s', 'hit %', 'line'],
    empty: 'There is no route: every request is answered with 404.',
    rows: () => now.routes.map((one) => {
      const find = (all) => all.routes.find((other) => other.name === one.name);
      const of = (key) => per((all) => find(all)?.[key]);
      const errors = per((all) => find(all)?.classes[5]);
      const earlier = before ? find(before)?.buckets ?? [] : one.buckets;
      const asked = of('cache_asked');
      const hits = asked > 0 ? Math.min(100, (of('cache_hits') * 100) / asked) : null;
      return {
        key: one.name, name: [one.name || '(none)'], level: errors > 0 ? 'bad' : '', line: of('requests'),
        cells: [
          figure(of('requests')), figure(per((all) => find(all)?.classes[4])), figure(errors, true),
          time(quantile(one.buckets, earlier, now.bounds, 0.5)), time(quantile(one.buckets, earlier, now.bounds, 0.99)), figure(of('bytes_out')),
          { value: hits ?? -1, text: hits === null ? '–' : hits.toFixed(0) },
        ],
      };
    }),
  },
  {
    id: 'upstreams', title: 'Upstreams', about: 'endpoints, and how they are',
    columns: ['endpoint', 'req/s', 'fail/s', 'active', 'latency', 'weight', 'state', 'line', 'act'],
    empty: 'There is no upstream: routes answer by themselves.',
    rows: () => now.upstreams.flatMap((upstream) => upstream.endpoints.map((one) => {
      const find = (all) => all.upstreams.find((other) => other.upstream === upstream.upstream)?.endpoints.find((other) => other.endpoint === one.endpoint);
      const of = (key) => per((all) => find(all)?.[key]);
      const failures = of('failures');
      const level = one.state === 'draining' || (one.state === 'up' && failures > 0) ? 'warn' : one.state === 'up' ? '' : 'bad';
      const verb = one.state === 'draining' ? 'enable' : 'drain';
      return {
        key: `${upstream.upstream} ${one.endpoint}`, name: [one.endpoint, upstream.upstream], level, line: of('requests'),
        cells: [figure(of('requests')), figure(failures, true), count(one.active), time(one.latency_ms), count(one.weight), word(one.state, 'text state')],
        act: { label: verb, title: `${verb} ${one.endpoint} of ${upstream.upstream}`, order: { verb, upstream: upstream.upstream, endpoint: one.endpoint } },
      };
    })),
  },
  {
    id: 'refusals', title: 'Refusals', about: 'requests and connections, by reason',
    columns: ['reason', 'per s', 'in all', 'line'],
    empty: 'Nothing was refused so far.',
    rows: () => Object.entries(now.refusals).map(([reason, all]) => {
      const lately = per((sample) => sample.refusals[reason]);
      return { key: reason, name: [reason], level: lately > 0 ? 'warn' : '', line: lately, cells: [figure(lately, true), count(all)] };
    }),
  },
  {
    id: 'bans', title: 'Block lists', about: 'as they change',
    columns: ['address', 'event', 'time', 'for', 'list', 'why', 'act'],
    empty: 'Nothing has come to the lists or gone since this page was opened.',
    rows: () => news.map(({ key, event }) => {
      const counts = event.counts && `${event.counts.added} added, ${event.counts.updated} updated, ${event.counts.removed} removed`;
      const what = event.prefix ?? counts ?? (event.lost ? `${event.lost} lines lost` : '');
      const act = event.prefix && !['delete', 'expire'].includes(event.event)
        ? { label: 'unblock', title: `unblock ${event.prefix}`, order: { verb: 'unblock', address: event.prefix } } : null;
      return {
        key, name: [what], level: event.event === 'autoban' ? 'warn' : '', act,
        cells: [
          { ...word(event.event), alarm: true }, word(event.time.slice(11, 19)), word(event.ttl === null ? '–' : span(event.ttl)),
          word(event.list ?? '–'), word(event.reason ?? '–', 'text long'),
        ],
      };
    }),
  },
];

/** The figure of each part of the way, beside which a line is drawn. */
const WAY = [
  { id: 'nic', unit: 'pkt/s', value: () => sumOf('interfaces', (one) => one.name !== 'lo' && one.rx_packets), beside: () => [`${short(sumOf('interfaces', (one) => one.name !== 'lo' && one.rx_bytes))} B/s in`] },
  { id: 'xdp', unit: 'drop/s', value: () => sumOf('stages', (one) => one.verdict === 'drop' && one.packets), beside: () => (now.attack ? ['SYN flood', 'bad'] : [`${whole(now.blocked)} blocked`]) },
  { id: 'listeners', unit: 'open', value: () => now.listeners.reduce((all, one) => all + Math.max(0, one.open), 0), isCount: true, beside: () => [`${short(sumOf('listeners', (one) => one.accepted))} new/s`] },
  {
    id: 'routes', unit: 'req/s', value: () => sumOf('routes', (one) => one.requests),
    beside: () => {
      const errors = sumOf('routes', (one) => one.classes[5]);
      return [`${short(errors)} 5xx/s`, errors > 0 ? 'bad' : ''];
    },
  },
  {
    id: 'upstreams', unit: 'req/s', value: () => sumOf('upstreams', (one) => one.endpoints.reduce((all, endpoint) => all + endpoint.requests, 0)),
    beside: () => {
      const all = now.upstreams.flatMap((one) => one.endpoints);
      const up = all.filter((one) => one.state === 'up').length;
      return [all.length === 0 ? 'none' : `${up} of ${all.length} up`, up < all.length ? 'bad' : ''];
    },
  },
];

const sumOf = (key, of) => per((all) => all[key].reduce((sum, one) => sum + (of(one) || 0), 0));

// Lines.

function remember(key, value) {
  const values = histories.get(key) ?? [];
  values.push(value);
  if (values.length > ROOM) values.shift();
  histories.set(key, values);
}

function line(width, height) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'curve');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const [area, stroke] = [document.createElementNS(SVG, 'path'), document.createElementNS(SVG, 'path')];
  area.setAttribute('class', 'area');
  svg.append(area, stroke);
  const draw = (values) => {
    const drawn = curve(values, ROOM, width, height);
    stroke.setAttribute('d', drawn.line);
    area.setAttribute('d', drawn.area);
  };
  return { svg, draw };
}

// Tables.

/** Endpoints of one name may have several addresses: each row has a key of its own. */
function distinct(rows) {
  const seen = new Map();
  for (const row of rows) {
    const times = seen.get(row.key) ?? 0;
    seen.set(row.key, times + 1);
    if (times > 0) row.key += ` ${times}`;
  }
  return rows;
}

class Table {
  constructor(view) {
    this.view = view;
    this.rows = new Map();
    this.sort = null;
    const title = make('h2', '', [view.title, ' ', make('span', '', view.about)]);
    title.id = `${view.id}-title`;
    this.body = make('tbody');
    this.body.setAttribute('role', 'rowgroup');
    this.heads = view.columns.map((name, index) => this.head(name, index));
    const row = make('tr', '', this.heads);
    row.setAttribute('role', 'row');
    const head = make('thead', '', row);
    head.setAttribute('role', 'rowgroup');
    this.table = make('table', '', [head, this.body]);
    // Its cells lie otherwise on a phone, where a browser would take it for no table any more.
    this.table.setAttribute('role', 'table');
    this.table.setAttribute('aria-labelledby', title.id);
    this.note = make('p', 'note');
    this.section = make('section', '', [title, this.table, this.note]);
    this.section.id = view.id;
    this.section.setAttribute('aria-labelledby', title.id);
  }

  head(name, index) {
    const cell = make('th', index === 0 ? 'name' : '');
    cell.scope = 'col';
    cell.setAttribute('role', 'columnheader');
    if (name === 'line' || name === 'act') {
      cell.setAttribute('aria-label', name === 'line' ? 'the last minute' : 'change');
      cell.hidden = name === 'act';
      return cell;
    }
    if (['state', 'XDP', 'verdict', 'event', 'time', 'for', 'list', 'why'].includes(name)) cell.classList.add('text');
    const button = make('button', '', name);
    button.type = 'button';
    button.addEventListener('click', () => this.turn(index));
    cell.append(button);
    return cell;
  }

  /** The largest first, then the smallest, then as they are configured. */
  turn(index) {
    if (this.sort?.index !== index) this.sort = { index, turned: false };
    else this.sort = this.sort.turned ? null : { index, turned: true };
    for (const [at, head] of this.heads.entries()) {
      if (at === this.sort?.index) head.setAttribute('aria-sort', this.sort.turned ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    }
    this.show();
  }

  sorted(rows) {
    if (!this.sort) return rows;
    const value = (row) => (this.sort.index === 0 ? row.name[0] : row.cells[this.sort.index - 1]?.value ?? 0);
    const order = (one, other) => (typeof one === 'string' ? one.localeCompare(other) : other - one);
    const sorted = rows.toSorted((one, other) => order(value(one), value(other)));
    return this.sort.turned ? sorted.reverse() : sorted;
  }

  show() {
    const all = distinct(this.view.rows());
    let rows = all;
    if (all.length > MOST_ROWS && !this.sort) {
      rows = all.toSorted((one, other) => (other.line ?? 0) - (one.line ?? 0));
    }
    rows = this.sorted(rows).slice(0, MOST_ROWS);
    const left = all.length - rows.length;
    say(this.note, all.length === 0 ? this.view.empty : left > 0 ? `${left} more that are quieter; openclaw top has all.` : '');
    this.note.hidden = this.note.textContent === '';
    this.table.hidden = rows.length === 0;
    const keys = new Set(rows.map((row) => row.key));
    for (const [key, shown] of this.rows) {
      if (!keys.has(key)) {
        shown.row.remove();
        this.rows.delete(key);
        histories.delete(`${this.view.id} ${key}`);
      }
    }
    for (const [index, row] of rows.entries()) {
      const shown = this.rows.get(row.key) ?? this.add(row);
      // One that stays where it is keeps the focus.
      const place = this.body.children[index];
      if (place !== shown.row) this.body.insertBefore(shown.row, place ?? null);
      this.fill(shown, row);
    }
    const act = this.view.columns.indexOf('act');
    if (act >= 0) this.heads[act].hidden = token === null;
  }

  add(row) {
    const name = make('th', 'name', row.name[0]);
    name.scope = 'row';
    name.setAttribute('role', 'rowheader');
    name.title = row.name.join(' ');
    if (row.name[1]) name.append(' ', make('small', '', row.name[1]));
    const shown = { row: make('tr', '', name), cells: [], line: null, act: null };
    shown.row.setAttribute('role', 'row');
    for (const column of this.view.columns.slice(1)) {
      const cell = make('td');
      cell.setAttribute('role', 'cell');
      shown.row.append(cell);
      if (column === 'line') {
        shown.line = line(72, 16);
        cell.className = 'line';
        cell.append(shown.line.svg);
      } else if (column === 'act') {
        cell.className = 'act';
        shown.act = cell;
      } else {
        cell.dataset.label = column;
        shown.cells.push(cell);
      }
    }
    this.rows.set(row.key, shown);
    return shown;
  }

  fill(shown, row) {
    shown.row.className = row.level;
    for (const [index, cell] of shown.cells.entries()) {
      const { text, value, alarm, classes = '' } = row.cells[index];
      say(cell, text);
      cell.className = `${classes}${alarm ? ' alarm' : ''}${value === 0 ? ' zero' : ''}`;
    }
    if (shown.line) shown.line.draw(histories.get(`${this.view.id} ${row.key}`) ?? [0]);
    if (!shown.act) return;
    shown.act.hidden = token === null;
    const act = token === null ? null : row.act;
    const button = shown.act.firstElementChild;
    if (!act) {
      button?.remove();
    } else if (button?.textContent !== act.label) {
      const fresh = make('button', '', act.label);
      fresh.type = 'button';
      fresh.setAttribute('aria-label', act.title);
      fresh.addEventListener('click', () => order(act.order, act.title));
      shown.act.replaceChildren(fresh);
    }
  }

  /** Once a sample. */
  take() {
    for (const row of distinct(this.view.rows())) {
      if (row.line !== undefined) remember(`${this.view.id} ${row.key}`, row.line);
    }
  }
}

const tables = VIEWS.map((view) => new Table(view));
at('figures').append(...tables.map((table) => table.section));

const way = WAY.map((part) => {
  const view = VIEWS.find((one) => one.id === part.id);
  const [value, beside] = [make('span', 'value', '–'), make('span', 'beside')];
  const drawn = line(120, 32);
  const link = make('a', '', [make('span', 'stage', view.title), value, make('span', 'unit', part.unit), beside, drawn.svg]);
  link.href = `#${part.id}`;
  at('way').append(make('li', '', link));
  return { part, value, beside, drawn };
});

// The whole of it.

function show() {
  if (!now) return;
  document.title = now.draining ? 'draining · OpenClaw' : 'OpenClaw';
  say(at('version'), now.version);
  say(at('facts'), `up ${span(now.uptime)} · configuration ${now.generation} · ${now.workers} worker${now.workers === 1 ? '' : 's'} · process ${now.pid}`);
  say(at('shield'), `shield: ${now.shield}`.replaceAll('`', ''));
  const badges = [now.attack && ['SYN FLOOD', 'bad'], now.draining && ['DRAINING', ''], isPaused && ['PAUSED', '']].filter(Boolean);
  const wanted = badges.map(([text]) => text).join(' ');
  if (at('badges').dataset.shown !== wanted) {
    at('badges').dataset.shown = wanted;
    at('badges').replaceChildren(...badges.map(([text, level]) => make('span', `badge ${level}`, text)));
  }
  for (const { part, value, beside, drawn } of way) {
    const figure = part.value();
    say(value, part.isCount ? whole(figure) : short(figure));
    const [text, level = ''] = part.beside();
    say(beside, text);
    beside.className = `beside ${level}`;
    drawn.draw(histories.get(`way ${part.id}`) ?? [0]);
  }
  for (const table of tables) table.show();
}

function take(sample) {
  // A process that started anew counts anew.
  before = now?.pid === sample.pid ? now : null;
  if (!before) histories.clear();
  now = sample;
  if (before) {
    for (const { part } of way) remember(`way ${part.id}`, part.value());
    for (const table of tables) table.take();
  }
}

function tell(text, isBad = false) {
  say(at('told'), text);
  at('told').className = isBad ? 'bad' : '';
}

// Asking.

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, { key = token, body } = {}) {
  const headers = {};
  if (key !== null) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const response = await fetch(path, {
    method: body === undefined ? 'GET' : 'POST',
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(body === undefined ? 5000 : 90000),
  });
  const answer = await response.json();
  if (!response.ok) throw new Refused(response.status, answer.error ?? `status ${response.status}`);
  return answer;
}

let isLost = false;
/** Reading needs the token here, and nobody has given it. */
let isShut = false;

async function look() {
  try {
    const [sample, changes] = await Promise.all([ask('/api/top'), ask(lastSeen === null ? '/api/bans' : `/api/bans?after=${lastSeen}`)]);
    take(sample);
    if (!before) news.length = 0;
    for (const [index, event] of changes.events.entries()) {
      news.unshift({ key: `${sample.pid} ${changes.last - changes.events.length + 1 + index}`, event });
    }
    news.length = Math.min(news.length, MOST_NEWS);
    lastSeen = changes.last;
    if (isLost) tell('');
    isLost = false;
  } catch (error) {
    if (error.status === 401) {
      token = null;
      locked();
      await unlock(error.message);
      isShut = token === null;
      if (isShut) tell('Reading needs the token here: unlock the page.', true);
    } else if (!isLost) {
      isLost = true;
      tell(`No news since ${new Date().toLocaleTimeString()}: ${error.message}`, true);
    }
  }
  document.body.classList.toggle('stale', isLost);
  show();
}

async function watch() {
  for (;;) {
    const begun = performance.now();
    if (!isPaused && !isShut && document.visibilityState === 'visible') await look();
    const rest = EVERY - (performance.now() - begun);
    await new Promise((resolve) => setTimeout(resolve, Math.max(100, rest)));
  }
}

// Orders.

async function order(body, title) {
  try {
    await ask('/api/change', { body });
    tell(`Done: ${title}`);
  } catch (error) {
    tell(`Not done: ${title}: ${error.message}`, true);
  }
}

/** Asks for the token until it is right or nobody wants to. */
function unlock(why) {
  const dialog = at('key');
  if (dialog.open) return Promise.resolve();
  say(at('key-told'), why ?? '');
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
}

function locked() {
  at('orders').hidden = token === null;
  say(at('unlock'), token === null ? 'Unlock changes' : 'Lock changes');
  show();
}

at('key').querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = event.target.elements.token;
  try {
    const key = field.value.trim();
    await ask('/api/access', { key });
    token = key;
    isShut = false;
    field.value = '';
    at('key').close();
    tell('Changes are unlocked.');
    locked();
  } catch (error) {
    say(at('key-told'), error.message);
    field.focus();
  }
});

at('key-cancel').addEventListener('click', () => at('key').close());

at('unlock').addEventListener('click', () => {
  if (token === null) {
    unlock();
  } else {
    token = null;
    tell('Changes are locked.');
    locked();
  }
});

at('pause').addEventListener('click', () => {
  isPaused = !isPaused;
  at('pause').setAttribute('aria-pressed', String(isPaused));
  show();
});

at('block').addEventListener('submit', (event) => {
  event.preventDefault();
  const { address, ttl, reason } = event.target.elements;
  const text = (field) => field.value.trim() || null;
  order({ verb: 'block', address: address.value.trim(), ttl: text(ttl), reason: text(reason) }, `block ${address.value.trim()}`);
});

at('unblock').addEventListener('click', () => {
  const form = at('block');
  const address = form.elements.address.value.trim();
  if (form.reportValidity()) order({ verb: 'unblock', address }, `unblock ${address}`);
});

at('purge').addEventListener('submit', (event) => {
  event.preventDefault();
  const url = event.target.elements.url.value.trim();
  order({ verb: 'purge_url', url }, `purge ${url}`);
});

at('purge-all').addEventListener('click', () => {
  if (window.confirm('Purge everything that is in the cache?')) order({ verb: 'purge_all' }, 'purge everything');
});

async function begin() {
  try {
    const access = await ask('/api/access');
    at('unlock').hidden = !access.changes;
  } catch (error) {
    // Reading needs the token here, too; the first look asks for it.
    at('unlock').hidden = error.status !== 401;
  }
  await watch();
}

begin();
