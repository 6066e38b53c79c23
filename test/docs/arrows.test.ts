import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { it } from 'node:test';
import { packageFolder } from '../../src/version.js';

const source = join(packageFolder(), 'src');

/** The rank of each folder, the highest first, as docs/decisions.md has it. */
function ranks(): Map<string, number> {
  const text = readFileSync(join(packageFolder(), 'docs', 'decisions.md'), 'utf8').replace(/\s+/g, ' ');
  const [, order = ''] = /Arrows point down: (.*?), then what lies in src\/ itself/.exec(text) ?? [];
  const found = new Map<string, number>();
  order
    .replace('commands, demo', 'commands, then demo')
    .split(/,? then /)
    .forEach((rank, index) => {
      for (const name of rank.replace(/[{},]/g, ' ').split(' ')) if (name !== '') found.set(name, index);
    });
  return found;
}

it('no folder uses one that stands above it', () => {
  const rankOf = ranks();
  const folders = readdirSync(source, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(folders.map(({ name }) => name).sort(), [...rankOf.keys()].sort());
  const upward: string[] = [];
  for (const { name } of folders) {
    for (const file of readdirSync(join(source, name))) {
      const text = readFileSync(join(source, name, file), 'utf8');
      for (const [, path = ''] of text.matchAll(/(?:from|import\()\s*'(\.[^']*)'/g)) {
        const folder = dirname(normalize(join(name, path)));
        const isUpward = folder !== '.' && (rankOf.get(folder) ?? -1) < (rankOf.get(name) ?? -1);
        if (isUpward) upward.push(`${name}/${file}: ${path}`);
      }
    }
  }
  assert.deepEqual(upward, []);
});
