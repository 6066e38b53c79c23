// A reporter for node --test: which files took longest, and the counts, in lines that a program can read.

/** So many of the slowest files. */
const SLOWEST = 10;
/** What the runner says at its end. */
const COUNT = /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

export default async function* totals(events) {
  const counts = new Map();
  const tookMs = new Map();
  for await (const { type, data } of events) {
    if (type === 'test:diagnostic' && COUNT.test(data.message)) {
      counts.set(data.message.split(' ', 1)[0], data.message);
    }
    if ((type !== 'test:pass' && type !== 'test:fail') || data.nesting !== 0) continue;
    const file = data.file?.replace(/^.*\/build\/test\//, '').replace(/\.js$/, '') ?? data.name;
    tookMs.set(file, (tookMs.get(file) ?? 0) + data.details.duration_ms);
  }
  const slowest = [...tookMs].sort(([, a], [, b]) => b - a).slice(0, SLOWEST);
  for (const [file, ms] of slowest) yield `${(ms / 1000).toFixed(1).padStart(7)} s  ${file}\n`;
  for (const message of counts.values()) yield `# ${message}\n`;
}
