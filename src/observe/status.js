// The status page: asks /status once a second and draws the answer.
//
// It only renders. Nothing is computed here that the daemon knows better; what the daemon does not
// know (null) is shown as unknown and leaves a gap in the charts. All text goes in by textContent,
// so a table named like markup stays a name. Nodes are kept and changed in place, so that a
// selection, a scroll position or a focus survives the next second.
"use strict";

const POLL_MS = 1000;          // the daemon's snapshot changes at about this pace
const VERDICT_MS = 3000;       // the verdict is judged anew at each request: ask less often
const ANSWER_MS = 4000;        // a slower answer counts as none
const STALE_S = 15;            // a data path that has not reported for so long is said to hang
const KEPT_S = 600;            // ten minutes of history, kept in this page alone
const ROWS_SHOWN = 100;        // of 2,000 tables; the filter reaches the others
const ROWS_SHOWN_NARROW = 20;  // on a phone each table takes three lines
const LAG_WARN_S = 10, LAG_BAD_S = 60;

const PHASES = ["precheck", "schema", "copy", "stream", "cutover", "sealed", "failed"];
const STATES = ["copying", "pending", "copied", "streaming"];
const LIMITS = [
  ["copy_queries_per_second", "Copy", " queries/s"],
  ["copy_rows_per_second", "Copy", " rows/s"],
  ["copy_bytes_per_second", "Copy", null],
  ["stream_rows_per_second", "Stream", " rows/s"],
  ["stream_bytes_per_second", "Stream", null],
];

const REASONS = { threads: "the source is busy", commit: "the target commits slowly", lag: "the stream is behind" };

const narrow = window.matchMedia("(max-width: 720px)");
const byId = (id) => document.getElementById(id);
const history = [];            // {at, lag, read, copy, stream}; at in seconds of performance.now()
let latest = null;             // the last snapshot
let answeredAt = null;         // when it came, in seconds of performance.now()
let chosenState = "all";

// ── Words and numbers ────────────────────────────────────────────────────────────────────────

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const isKnown = (value) => typeof value === "number" && Number.isFinite(value);
const count = (value) => (isKnown(value) ? whole.format(value) : "–");

/** A large number in three or four digits: 812, 9,481, 48.2 k, 1.25 M. */
function brief(value) {
  if (!isKnown(value)) return "–";
  if (value < 9999.5) return whole.format(value);
  const [unit, size] = value < 999500 ? ["k", 1e3] : value < 999.5e6 ? ["M", 1e6] : ["G", 1e9];
  return `${(value / size).toPrecision(3)}\u00a0${unit}`;
}

function bytes(value) {
  if (!isKnown(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) { value /= 1024; unit += 1; }
  const digits = unit === 0 || value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2;
  return `${value.toFixed(digits)}\u00a0${units[unit]}`;
}

/** A span as [number, unit]: 0.42 s, 12.4 s, 3:05 min, 2:07 h, 3.4 d. */
function spanParts(seconds) {
  if (!isKnown(seconds)) return ["unknown", ""];
  const s = Math.max(0, seconds);
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  if (s < 9.995) return [s.toFixed(2), "s"];
  if (s < 59.95) return [s.toFixed(1), "s"];
  if (s < 3600) return [`${Math.floor(s / 60)}:${two(s % 60)}`, "min"];
  if (s < 48 * 3600) return [`${Math.floor(s / 3600)}:${two((s % 3600) / 60)}`, "h"];
  return [(s / 86400).toFixed(1), "d"];
}
const span = (seconds) => spanParts(seconds).join("\u00a0").trim();

/** A span for running text, in whole units: 8 s, 3 min, 2 h 7 min, 3 d 4 h. */
function about(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return m < 10 && s % 60 ? `${m} min ${s % 60} s` : `${m} min`;
  const h = Math.floor(m / 60);
  if (h < 48) return m % 60 ? `${h} h ${m % 60} min` : `${h} h`;
  return h % 24 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${Math.floor(h / 24)} d`;
}

const clock = (unix) => new Date(unix * 1000).toLocaleTimeString("en-GB");

// ── Nodes ────────────────────────────────────────────────────────────────────────────────────

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes `parent` have one child per item, reusing those that are there. */
function fill(parent, items, create, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(create());
  items.forEach((item, index) => update(parent.children[index], item));
}

/** Fills a description list with [term, text, isLong]. */
function facts(id, rows) {
  const flat = rows.flatMap(([term, text, isLong]) => [["DT", term, false], ["DD", text, isLong]]);
  const list = byId(id);
  const fits = list.children.length === flat.length;
  if (!fits) list.replaceChildren(...flat.map(([tag]) => make(tag)));
  flat.forEach(([, text, isLong], index) => {
    const node = list.children[index];
    setText(node, text);
    node.className = isLong ? "long" : "";
  });
}

// ── Parts of the page ────────────────────────────────────────────────────────────────────────

function drawTop(s, serverNow) {
  document.title = `${s.phase}, ${isKnown(s.lag_seconds) ? span(s.lag_seconds) : "lag unknown"} – ${s.task}`;
  setText(byId("task"), s.task || "polarferry");
  setText(byId("build"), `polarferry ${s.version}, up ${about(serverNow - s.started_at)}`);
  for (const end of ["source", "target"]) {
    const { endpoint, server_version: version } = s[end];
    const place = byId(end);
    if (!place.firstElementChild) place.replaceChildren(document.createTextNode(""), make("span"));
    place.firstChild.data = `${endpoint || "not connected yet"} `;
    setText(place.lastElementChild, version);
  }
  const now = PHASES.indexOf(s.phase);
  for (const item of byId("phases").children) {
    const index = PHASES.indexOf(item.dataset.phase);
    const isDone = index < now && s.phase !== "failed";
    item.className = index === now ? "now" : isDone ? "done" : "";
    if (index === now) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
}

function drawNotices(s, serverNow) {
  byId("error").hidden = !s.error;
  if (s.error) {
    setText(byId("error-code"), s.error.code);
    setText(byId("error-message"), s.error.message);
    setText(byId("error-remedy"), s.error.remedy);
  }
  const retry = s.retries.last;
  byId("retry").hidden = !retry;
  if (retry) {
    const kind = retry.class === "connection" ? "connection to the " : "";
    setText(byId("retry-title"), `Retrying: ${kind}${retry.side}`);
    setText(byId("retry-cause"), retry.cause);
    const next = retry.next_attempt_at - serverNow;
    const left = retry.window_ends_at - serverNow;
    setText(byId("retry-when"), `Next attempt ${next > 0.5 ? `in ${about(next)}` : "now"}. `
      + (left > 0 ? `Gives up in ${about(left)} if nothing changes.` : "The retry window has ended."));
  }
  byId("paused").hidden = !s.paused;
}

function drawFigure(id, number, unit, below, level) {
  const figure = byId(id);
  const [, value, line] = figure.children;
  const isUnknown = number === "unknown" || number === "–";
  value.classList.toggle("unknown", isUnknown);
  const text = document.createTextNode(number);
  if (value.textContent !== number + unit) {
    value.replaceChildren(text, ...(unit ? [make("small", "", unit)] : []));
  }
  setText(line, below);
  figure.dataset.level = level || "";
}

function drawFigures(s) {
  const level = (lag) => (!isKnown(lag) || lag < LAG_WARN_S ? "" : lag < LAG_BAD_S ? "warn" : "bad");
  const isBehind = isKnown(s.lag_seconds) && s.lag_seconds >= LAG_WARN_S;
  const reads = isKnown(s.read_lag_seconds) && s.read_lag_seconds >= s.lag_seconds / 2;
  const verdict = isBehind ? (reads ? "reading is the slow side" : "applying is the slow side") : "source to target";
  drawFigure("apply-lag", ...spanParts(s.lag_seconds), verdict, level(s.lag_seconds));
  drawFigure("read-lag", ...spanParts(s.read_lag_seconds), "source to here", level(s.read_lag_seconds));

  const hasPosition = s.source.position.gtid_set !== "" || s.source.position.file !== "";
  const backlogBytes = isKnown(s.backlog_bytes) ? bytes(s.backlog_bytes) + " of binlog" : "transactions";
  drawFigure("backlog", ...(hasPosition && !s.retries.last ? [brief(s.backlog_transactions), "tx"] : ["unknown", ""]), backlogBytes);

  const isCopying = s.phase === "copy";
  drawFigure("rows", brief(isCopying ? s.copy.rows_per_second : s.stream.rows_per_second), "/s",
    isCopying ? `copied; stream ${brief(s.stream.rows_per_second)}/s` : "applied from the stream");
  const perBatch = s.stream.batches > 0 ? s.stream.transactions / s.stream.batches : null;
  drawFigure("transactions", brief(s.stream.transactions_per_second), "/s",
    isKnown(perBatch) ? `${perBatch < 10 ? perBatch.toFixed(1) : count(perBatch)} per batch` : "no batch yet");
}

/** The share of a table that is copied, in percent; null while nobody can say. */
function percent(table) {
  if (table.state === "copied" || table.state === "streaming") return 100;
  if (table.rows_copied === 0) return 0;
  if (table.rows_estimated === 0) return null;
  // The estimate may be too low: what is still being copied is never called done.
  return Math.min(99, Math.floor((100 * table.rows_copied) / table.rows_estimated));
}

/** Before the copy there are no tables to list; the schema's are counted. */
function created(s) {
  return s.schema.tables === 0 ? "none known yet" : `${count(s.schema.created)} of ${count(s.schema.tables)} created on the target`;
}

function drawTotal(s) {
  const done = s.tables.filter((table) => percent(table) === 100).length;
  const isAllDone = s.tables.length > 0 && done === s.tables.length;
  const copied = s.tables.reduce((sum, table) => sum + table.rows_copied, 0);
  const expected = s.tables.reduce((sum, table) =>
    sum + (percent(table) === 100 ? table.rows_copied : Math.max(table.rows_copied, table.rows_estimated)), 0);
  const share = isAllDone ? 100 : expected > 0 ? Math.min(99.9, (100 * copied) / expected) : 0;
  setText(byId("copy-line"), s.tables.length === 0 ? created(s) : `${count(done)} of ${count(s.tables.length)} copied`);
  for (const part of byId("table-card").querySelectorAll(".total, .tools, .scroll")) part.hidden = s.tables.length === 0;
  byId("total").querySelector("i").style.width = `${share}%`;
  setText(byId("total-percent"), isAllDone ? "100 %" : `${share.toFixed(1)} %`);
  setText(byId("total-rows"), `${count(copied)} ${isAllDone ? "rows" : `of about ${count(expected)} rows`}`);
  setText(byId("total-bytes"), bytes(s.copy.bytes));
  setText(byId("total-rate"), isAllDone ? "" : `${brief(s.copy.rows_per_second)} rows/s`);
  setText(byId("total-eta"), isAllDone ? "" : isKnown(s.copy.eta_seconds) ? `done in about ${about(s.copy.eta_seconds)}` : "time left unknown");
}

function makeRow() {
  const meter = make("div", "meter", make("div", "bar", make("i")), make("span", "percent"));
  return make("tr", "", make("td", "name"), make("td", "state"), make("td", "progress", meter),
    make("td", "n rows"), make("td", "n about"), make("td", "n size"));
}

function drawRow(row, table) {
  const [name, state, progress, rows, of, size] = row.children;
  row.dataset.state = table.state;
  setText(name, table.name);
  name.title = table.name;
  setText(state, table.state);
  const share = percent(table);
  progress.querySelector("i").style.width = `${share ?? 0}%`;
  setText(progress.querySelector(".percent"), share === null ? "–" : `${share} %`);
  setText(rows, count(table.rows_copied));
  const isDone = share === 100;
  setText(of, isDone || table.rows_estimated === 0 ? "–" : count(table.rows_estimated));
  of.dataset.narrow = isDone ? `${count(table.rows_copied)} rows` : `${count(table.rows_copied)} of about ${count(table.rows_estimated)} rows`;
  setText(size, bytes(table.bytes_copied));
}

function drawTables(s) {
  drawTotal(s);
  const counts = { all: s.tables.length };
  for (const table of s.tables) counts[table.state] = (counts[table.state] || 0) + 1;
  for (const chip of byId("chips").children) {
    setText(chip.firstElementChild, count(counts[chip.dataset.state] || 0));
    chip.setAttribute("aria-pressed", String(chip.dataset.state === chosenState));
  }
  const wanted = byId("filter").value.trim().toLowerCase();
  const found = s.tables.filter((table) =>
    (chosenState === "all" || table.state === chosenState) && table.name.toLowerCase().includes(wanted));
  found.sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) || (a.name < b.name ? -1 : 1));
  const shown = found.slice(0, narrow.matches ? ROWS_SHOWN_NARROW : ROWS_SHOWN);
  fill(byId("tables"), shown, makeRow, drawRow);
  const foot = s.tables.length === 0 ? "" : found.length === 0 ? "No table fits the filter."
    : found.length > shown.length ? `The first ${count(shown.length)} of ${count(found.length)}; filter by name to see others.` : "";
  setText(byId("tables-foot"), foot);
}

function drawFacts(s) {
  const place = (position) => (position.file ? `${position.file}:${position.pos}` : "unknown");
  const rows = [["Source", place(s.source.position)], ["Applied", place(s.applied)]];
  if (s.applied.gtid_set) rows.push(["Applied GTIDs", s.applied.gtid_set, true]);
  rows.push(["Binlog left", isKnown(s.retention_remaining_seconds) ? about(s.retention_remaining_seconds) : "unknown"]);
  facts("positions", rows);

  const verified = isKnown(s.verified_at) ? `verified ${clock(s.verified_at)}` : "not verified yet";
  const others = s.neighbours ?? [];
  facts("totals", [
    ["Transactions", count(s.stream.transactions)],
    ["Rows inserted", count(s.stream.rows_inserted)],
    ["Rows updated", count(s.stream.rows_updated)],
    ["Rows deleted", count(s.stream.rows_deleted)],
    ["Retries, source", count(s.retries.source)],
    ["Retries, target", count(s.retries.target)],
    ...(others.length ? [["Beside, on the target", others.join(", ")]] : []),
    ["Rows that differ", s.drift > 0 || isKnown(s.verified_at) ? `${count(s.drift)}, ${verified}` : verified],
  ]);
  const hottest = s.stream.hottest ?? [];
  byId("hot-card").hidden = hottest.length === 0;
  facts("hottest", hottest.map((table) => [table.name, `${brief(table.changes_per_second)}/s`]));
  const opening = s.copy_opening ?? { share: 1 };
  const limits = LIMITS.filter(([key]) => s.throttle[key] > 0)
    .map(([key, term, unit]) => [term, unit ? count(s.throttle[key]) + unit : `${bytes(s.throttle[key])}/s`]);
  if (s.throttle.auto) {
    limits.push(["Copy makes way", opening.share < 1 ? `works ${Math.round(opening.share * 100)} %: ${REASONS[opening.reason] ?? opening.reason}` : "not now"]);
  }
  facts("limits", limits.length ? limits : [["Copy and stream", "no limit"]]);
  setText(byId("pause"), s.paused ? "Resume" : "Pause");
}

function drawEvents(s) {
  const create = () => make("li", "", make("time"), make("p"));
  fill(byId("events"), [...s.events].reverse(), create, (item, event) => {
    item.className = event.level;
    setText(item.children[0], clock(event.at));
    item.children[0].title = new Date(event.at * 1000).toISOString();
    setText(item.children[1], event.text);
  });
}

function drawVerdict(answer) {
  const badge = byId("verdict");
  setText(badge, answer ? answer.verdict : "unknown");
  badge.className = `verdict ${answer ? (answer.verdict === "GO" ? "go" : "no") : ""}`;
  const create = () => make("li", "", make("span", "sign"), make("span", "name"), make("span", "detail"));
  // What keeps it from GO comes first.
  const checks = answer ? [...answer.checks].sort((a, b) => Number(a.ok) - Number(b.ok)) : [];
  for (const note of answer?.notes ?? []) checks.push({ ...note, ok: null });
  fill(byId("checks"), checks, create, (item, check) => {
    item.className = check.ok === null ? "note" : check.ok ? "ok" : "";
    setText(item.children[0], check.ok === null ? "i" : check.ok ? "✓" : "✕");
    item.children[0].setAttribute("aria-label", check.ok === null ? "to be known" : check.ok ? "ok" : "not ok");
    setText(item.children[1], check.name);
    setText(item.children[2], check.detail);
  });
}

// ── Charts ───────────────────────────────────────────────────────────────────────────────────

const MARGIN = { left: 46, right: 4, top: 8, bottom: 20 };

function shape(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** The next of 1, 2, 5 × 10ⁿ at or above `value`. */
function niceStep(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= value * 0.9999);
}

/** `at` seconds before now → x, and value → y, for the size the chart has now. */
function scales(svg, series, least) {
  const width = svg.clientWidth, height = svg.clientHeight;
  const end = history.at(-1).at;
  const age = end - history[0].at;
  const seconds = [60, 120, 300, KEPT_S].find((length) => age <= length) ?? KEPT_S;
  const highest = Math.max(least, ...history.flatMap((point) => series.map(({ key }) => point[key] ?? 0)));
  const step = niceStep(highest / 4);
  const top = step * Math.ceil(highest / step);
  const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  return {
    width, height, end, seconds, step, top,
    x: (at) => MARGIN.left + inner.width * (1 - (end - at) / seconds),
    y: (value) => MARGIN.top + inner.height * (1 - value / top),
  };
}

function drawAxes(svg, to, label) {
  for (let value = 0; value <= to.top * 1.001; value += to.step) {
    const y = Math.round(to.y(value)) + 0.5;
    svg.append(shape("line", { class: "grid", x1: MARGIN.left, x2: to.width - MARGIN.right, y1: y, y2: y }));
    svg.append(shape("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, label(value)));
  }
  const minutes = to.seconds / 60;
  const every = minutes <= 2 ? to.seconds / 4 : to.seconds / 5;
  for (let ago = 0; ago <= to.seconds; ago += every) {
    const anchor = ago === 0 ? "end" : "middle";
    const text = ago === 0 ? "now" : `−${to.seconds <= 120 ? `${ago} s` : `${ago / 60} min`}`;
    svg.append(shape("text", { x: to.x(to.end - ago), y: to.height - 3, "text-anchor": anchor }, text));
  }
}

/** The known stretches of one series; an unknown value ends a stretch. */
function stretches(key, to) {
  const runs = [];
  let run = null;
  for (const point of history) {
    if (!isKnown(point[key]) || to.end - point.at > to.seconds) { run = null; continue; }
    if (!run) runs.push(run = []);
    run.push([to.x(point.at), to.y(point[key])]);
  }
  return runs;
}

function drawChart(id, all, least, label, pointer) {
  const svg = byId(id).querySelector("svg");
  if (history.length === 0 || svg.clientWidth === 0) return;
  // A series that has nothing to say (the copy, once all is copied) takes no room in the legend.
  const series = all.filter(({ key }, index) => index === 0 || history.some((point) => isKnown(point[key])));
  const to = scales(svg, series, least);
  svg.setAttribute("viewBox", `0 0 ${to.width} ${to.height}`);
  svg.replaceChildren();
  drawAxes(svg, to, label);
  const line = (run) => run.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  series.forEach(({ key }, index) => {
    for (const run of stretches(key, to)) {
      const ground = to.y(0).toFixed(1);
      if (index === 0) {
        svg.append(shape("path", { class: "under", d: `${line(run)}L${run.at(-1)[0].toFixed(1)} ${ground}L${run[0][0].toFixed(1)} ${ground}Z` }));
      }
      svg.append(shape("path", { class: index === 0 ? "first" : "second", d: line(run) }));
    }
  });
  if (!series.some(({ key }) => stretches(key, to).length > 0)) {
    svg.append(shape("text", { class: "empty", x: to.width / 2, y: to.y(to.top * 0.7), "text-anchor": "middle" }, "unknown so far"));
  }
  const point = pointed(to, pointer, svg);
  const create = () => make("li", "", document.createTextNode(""), make("b"));
  fill(byId(id).querySelector(".legend"), series, create, (item, { key, name, show }) => {
    item.className = key === series[0].key ? "first" : "second";
    if (item.firstChild.data !== name) item.firstChild.data = name;
    setText(item.lastElementChild, isKnown(point[key]) ? show(point[key]) : "–");
  });
}

/** The point under the pointer, marked by a line; without a pointer the newest one. */
function pointed(to, pointer, svg) {
  if (pointer === null) return history.at(-1);
  const distance = (point) => Math.abs(to.x(point.at) - pointer);
  const point = history.reduce((best, next) => (distance(next) < distance(best) ? next : best));
  const x = to.x(point.at);
  svg.append(shape("line", { class: "cursor", x1: x, x2: x, y1: MARGIN.top, y2: to.height - MARGIN.bottom }));
  return point;
}

const CHARTS = [
  ["chart-lag", [{ key: "lag", name: "apply", show: span }, { key: "read", name: "read", show: span }], 1,
    (value) => (value < 120 ? `${Number(value.toPrecision(3))} s` : value < 7200 ? `${Number((value / 60).toPrecision(3))} min` : `${Number((value / 3600).toPrecision(3))} h`)],
  ["chart-rate", [{ key: "stream", name: "stream", show: brief }, { key: "copy", name: "copy", show: brief }], 10,
    (value) => (value < 10000 ? whole.format(value) : value < 1e6 ? `${Number((value / 1e3).toPrecision(3))} k` : `${Number((value / 1e6).toPrecision(3))} M`)],
];
const pointers = new Map();

function drawCharts() {
  for (const chart of CHARTS) drawChart(...chart, pointers.get(chart[0]) ?? null);
}

// ── Asking ───────────────────────────────────────────────────────────────────────────────────

const secondsNow = () => performance.now() / 1000;

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
  // 503 is an answer of /cutover: NO-GO.
  if (!answer.ok && answer.status !== 503) throw new Error(`${path} answered ${answer.status}`);
  return { body: await answer.json(), serverNow: Date.parse(answer.headers.get("date")) / 1000 };
}

function remember(s) {
  const at = secondsNow();
  history.push({
    at,
    lag: s.lag_seconds,
    read: s.read_lag_seconds,
    stream: s.stream.rows_per_second,
    copy: s.phase === "copy" || s.copy.rows_per_second > 0 ? s.copy.rows_per_second : null,
  });
  while (at - history[0].at > KEPT_S) history.shift();
}

/** A task that has ended has nothing more to report; one that has not is hanging. */
function drawFreshness(s, age) {
  const isSilent = age > STALE_S;
  const hasEnded = s.phase === "sealed" || s.phase === "failed";
  document.body.dataset.state = !isSilent ? "live" : hasEnded ? "ended" : "stale";
  setText(byId("fresh"), !isSilent ? "live"
    : hasEnded ? `ended, as of ${clock(s.updated_at)}` : `data path silent for ${about(age)}`);
}

function draw(s, serverNow) {
  drawTop(s, serverNow);
  drawNotices(s, serverNow);
  drawFigures(s);
  drawTables(s);
  drawFacts(s);
  drawEvents(s);
  drawCharts();
  // Both times are the daemon's, so a browser with a wrong clock still tells the truth. `Date` has
  // whole seconds; the difference may be off by one.
  drawFreshness(s, serverNow - s.updated_at);
}

async function pollStatus() {
  const began = performance.now();
  try {
    const { body, serverNow } = await ask("status");
    answeredAt = secondsNow();
    latest = body;
    remember(body);
    draw(body, serverNow);
  } catch (error) {
    document.body.dataset.state = "lost";
    const since = answeredAt === null ? "" : ` for ${about(secondsNow() - answeredAt)}`;
    setText(byId("fresh"), `no answer from the daemon${since}`);
    console.warn(error);
  }
  setTimeout(pollStatus, Math.max(100, POLL_MS - (performance.now() - began)));
}

async function pollVerdict() {
  try {
    drawVerdict((await ask("cutover")).body);
  } catch {
    drawVerdict(null);
  }
  setTimeout(pollVerdict, VERDICT_MS);
}

/** Asks for a change. It is taken, not done, when the daemon answers; whether it is done shows above. */
async function command(path, body) {
  const said = byId("said");
  const token = byId("token").value;
  if (!token) return setText(said, "A change needs the token.");
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}` },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const words = await answer.json();
    setText(said, answer.ok ? `Taken: ${path}.` : `Refused: ${words.error.message}; ${words.error.remedy}.`);
  } catch (error) {
    setText(said, `No answer: ${error.message}.`);
  }
}

byId("pause").addEventListener("click", () => command(latest?.paused ? "resume" : "pause"));
byId("set-limit").addEventListener("click", () => {
  const key = byId("limit").value, value = byId("limit-value").valueAsNumber;
  if (!Number.isInteger(value) || value < 0) return setText(byId("said"), "A limit is a whole number; 0 is none.");
  command("throttle", { [key]: key === "auto" ? value > 0 : value });
});
byId("filter").addEventListener("input", () => latest && drawTables(latest));
byId("chips").addEventListener("click", (event) => {
  const chip = event.target.closest("button");
  if (!chip || !latest) return;
  chosenState = chip.dataset.state;
  drawTables(latest);
});
for (const [id] of CHARTS) {
  const svg = byId(id).querySelector("svg");
  svg.addEventListener("pointermove", (event) => {
    pointers.set(id, event.clientX - svg.getBoundingClientRect().left);
    drawCharts();
  });
  svg.addEventListener("pointerleave", () => { pointers.delete(id); drawCharts(); });
}
new ResizeObserver(drawCharts).observe(document.body);
pollStatus();
pollVerdict();
