import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import type { ExtraOption } from '../../src/commands/arguments.js';
import { COMMAND_NAMES, COMMANDS } from '../../src/commands/commands.js';
import { OPTION_LIST } from '../../src/config/options.js';
import { packageFolder } from '../../src/version.js';

const ROOT = packageFolder();
const PAGES = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
/** Words in a page that look like options and are those of other programs. */
const OTHERS = new Set(
  [
    ['dport', 'state', 'queue-num', 'queue-balance', 'queue-bypass', 'nflog-group', 'mark', 'to-destination'],
    ['disable-sigusr1', 'inspect', 'inspect-port'],
    ['system', 'no-create-home', 'shell', 'now', 'optimize-for-size', 'allow-scripts', 'help', 'version'],
  ].flat(),
);

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

/** The anchors that a page's headings have, as GitHub makes them. */
function anchors(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

async function optionNames(): Promise<Set<string>> {
  const extra: ExtraOption[] = [];
  for (const { load } of COMMANDS) extra.push(...(await load()).options);
  return new Set([...OPTION_LIST.map(([, { name }]) => name), ...extra.map(({ name }) => name)]);
}

describe('documents', () => {
  it('link to what is there, down to the heading', () => {
    for (const page of PAGES) {
      for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue;
        const [path = '', anchor] = target.split('#');
        const file = path === '' ? page : join(dirname(page), path);
        assert.ok(existsSync(join(ROOT, file)), `${page}: ${target}`);
        if (anchor !== undefined) assert.ok(anchors(file).includes(anchor), `${page}: ${target}`);
      }
    }
  });

  it('and messages name files of the package by names that they have', () => {
    const sources = ['src', 'examples', 'rc.d', 'systemd'].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true }).map((name) => `${folder}/${String(name)}`),
    );
    const texts = sources.filter((name) => /\.(ts|conf|service)$|\/mxallowd$/.test(name));
    for (const page of [...PAGES, ...texts]) {
      for (const [name] of read(page).matchAll(/(?<![\w/.-])(?:docs|examples|rc\.d)\/[\w./-]*\w/g)) {
        assert.ok(existsSync(join(ROOT, name)), `${page}: ${name}`);
      }
    }
  });

  it('name commands that there are', () => {
    for (const page of PAGES) {
      // in code only: "mxallowd reads", in a sentence, is none
      const code = read(page).match(/```[\s\S]*?```|`[^`\n]+`/g) ?? [];
      for (const [, word = ''] of code.join('\n').matchAll(/(?:^|[`$#;&|] ?)mxallowd ([a-z][a-z-]+)\b/gm)) {
        const isLogLine = ['is', 'on', 'accepts', 'needs'].includes(word);
        assert.ok(isLogLine || COMMAND_NAMES.includes(word), `${page}: mxallowd ${word}`);
      }
    }
  });

  it('name options that there are', async () => {
    const known = await optionNames();
    for (const page of PAGES) {
      for (const [, name = ''] of read(page).matchAll(/(?<![\w-])--([a-z][a-z0-9-]*)/g)) {
        assert.ok(known.has(name) || OTHERS.has(name), `${page}: --${name}`);
      }
    }
  });
});
