// Figures as they fit into a column, and what two samples of counters make of each other. As `openclaw top` has them.

const UNITS = ['', 'k', 'M', 'G', 'T', 'P'];

/** What a counter did in a second. A process that started anew counts anew. */
export const rate = (now, before, seconds) => Math.max(0, now - before) / seconds;

/** At most five characters: `0`, `7.5`, `950`, `12.3k`. */
export function short(value) {
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  if (value === 0) return '0';
  return (value < 99.95 ? value.toFixed(1) : value.toFixed(0)) + UNITS[unit];
}

/** The same of what is counted one by one. */
export const whole = (value) => (value < 1000 ? String(value) : short(value));

/** A time in milliseconds. */
export function millis(value) {
  if (value >= 10000) return `${(value / 1000).toFixed(0)}s`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)}s`;
  return value >= 10 ? `${value.toFixed(0)}ms` : `${value.toFixed(1)}ms`;
}

/** `1d02h`, `3h04m`, `5m06s`. */
export function span(seconds) {
  const all = Math.floor(seconds);
  const [days, hours, minutes] = [Math.floor(all / 86400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60];
  const two = (number) => String(number).padStart(2, '0');
  if (days > 0) return `${days}d${two(hours)}h`;
  return hours > 0 ? `${hours}h${two(minutes)}m` : `${minutes}m${two(all % 60)}s`;
}

/** The bound in milliseconds below which such a part of the requests between two samples was; null where there were none. */
export function quantile(buckets, earlier, bounds, part) {
  const counts = buckets.map((count, index) => Math.max(0, count - (earlier[index] ?? 0)));
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let left = all * part;
  for (const [index, bound] of bounds.entries()) {
    if (left <= counts[index]) return bound * 1000;
    left -= counts[index];
  }
  return bounds[bounds.length - 1] * 1000;
}

/** The line of a sparkline and the area below it, in a box of `width` by `height`, for at most `room` values; the last one is at the right. */
export function curve(values, room, width, height) {
  const most = Math.max(...values, 1e-9);
  const step = width / (room - 1);
  const start = width - (values.length - 1) * step;
  const points = values.map((value, index) => {
    const x = start + index * step;
    const y = height - 1 - (value / most) * (height - 2);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const line = `M${points.join('L')}`;
  return { line, area: `${line}V${height}H${start.toFixed(1)}Z` };
}
