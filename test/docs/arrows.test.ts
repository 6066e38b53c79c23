import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { it } from 'node:test';
import { packageFolder } from '../../src/version.js';

const source = join(packageFolder(), 'src');

/** The files of src/, and which of them each one imports, types included. */
const imports = new Map(
  readdirSync(source, { recursive: true })
    .map(String)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => {
      const text = readFileSync(join(source, file), 'utf8');
      const found = [...text.matchAll(/(?:from|import\(|import)\s*'(\.[^']*)'/g)].map(([, path = '']) =>
        normalize(join(dirname(file), path)).replace(/\.js$/, '.ts'),
      );
      return [file, found.filter((path) => !path.endsWith('.d.ts'))] as const;
    }),
);

/** The room that a file lies in; empty: in src/ itself. */
function room(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : '';
}

/** The floor of each room, the highest first, as docs/decisions.md has it; those of src/ itself lie below all. */
function floors(): Map<string, number> {
  const text = readFileSync(join(packageFolder(), 'docs', 'decisions.md'), 'utf8').replace(/\s+/g, ' ');
  const [, order = ''] = /Arrows point down: (.*?) > what lies in src\/ itself/.exec(text) ?? [];
  const found = new Map<string, number>();
  order.split('>').forEach((floor, index) => {
    for (const [name] of floor.matchAll(/[a-z-]+/g)) found.set(name, index);
  });
  return found;
}

it('each room stands in docs/decisions.md, and each that stands there is one', () => {
  const rooms = new Set([...imports.keys()].map(room).filter((name) => name !== ''));
  assert.deepEqual([...rooms].sort(), [...floors().keys()].sort());
});

it('no file uses one of a higher floor', () => {
  const floorOf = floors();
  // cli.ts starts what there is
  const files = [...imports].filter(([file]) => file !== 'cli.ts');
  const upward = files.flatMap(([file, used]) =>
    used
      .filter((path) => (floorOf.get(room(path)) ?? Infinity) < (floorOf.get(room(file)) ?? Infinity))
      .map((path) => `${file}: ${path}`),
  );
  assert.deepEqual(upward, []);
});

/** Circles among what imports what, each told once. */
function circles(edges: ReadonlyMap<string, Iterable<string>>): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const walk = (name: string, way: readonly string[]): void => {
    if (way.includes(name)) found.push([...way.slice(way.indexOf(name)), name].join(' > '));
    if (way.includes(name) || done.has(name)) return;
    for (const next of edges.get(name) ?? []) walk(next, [...way, name]);
    done.add(name);
  };
  for (const name of edges.keys()) walk(name, []);
  return found;
}

it('no files import each other in a circle, nor do rooms', () => {
  assert.deepEqual(circles(imports), []);
  const rooms = new Map<string, Set<string>>();
  for (const [file, used] of imports) {
    if (file === 'cli.ts') continue;
    const others = rooms.get(room(file)) ?? new Set();
    for (const path of used) if (room(path) !== room(file)) others.add(room(path));
    rooms.set(room(file), others);
  }
  assert.deepEqual(circles(rooms), []);
});

it('each file says in its first line what it is', () => {
  const silent = [...imports.keys()].filter((file) => {
    const [first = '', second = ''] = readFileSync(join(source, file), 'utf8').split('\n');
    return !(first.startsWith('#!') ? second : first).startsWith('// ');
  });
  assert.deepEqual(silent, []);
});

it('each room of test/ is one of src/, or holds what belongs to none', () => {
  const others = ['docs', 'e2e', 'examples', 'fixtures', 'rc.d', 'scripts', 'support'];
  const folders = readdirSync(join(packageFolder(), 'test'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  const rooms = new Set([...imports.keys()].map(room));
  assert.deepEqual(
    folders.filter((name) => !rooms.has(name) && !others.includes(name)),
    [],
  );
});
