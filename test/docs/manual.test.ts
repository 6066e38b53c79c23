import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { ExtraOption } from '../../src/commands/arguments.js';
import { COMMAND_NAMES, COMMANDS } from '../../src/commands/commands.js';
import { OPTION_LIST, type OptionSpec } from '../../src/config/options.js';
import { Exit } from '../../src/sysexits.js';
import { packageFolder } from '../../src/version.js';
import { runCli } from '../support/cli.js';
import { type MdocItem, type MdocSection, parseMdoc } from '../support/mdoc.js';

const PAGES = ['mxallowd.8', 'mxallowd.conf.5'].map((name) => join(packageFolder(), 'docs', name));
const [COMMAND_PAGE = [], FILE_PAGE = []] = PAGES.map((path) => parseMdoc(readFileSync(path, 'utf8')));
const SPECS: readonly OptionSpec[] = OPTION_LIST.map(([, spec]) => spec);
const RELOADS = 'A reload takes it over.';
const MANY = 'It may be given several times.';
/** A default that the table gives in short. */
const LONGER: Readonly<Record<string, string>> = {
  'OpenBSD: egress; FreeBSD: by address': 'the group egress on OpenBSD, and on FreeBSD the interfaces',
};

function section(page: readonly MdocSection[], title: string): MdocSection {
  const found = page.find((one) => one.title === title);
  assert.ok(found, `there is a section ${title}`);
  return found;
}

function onlyList(place: { readonly lists: readonly (readonly MdocItem[])[] }): readonly MdocItem[] {
  assert.ok(place.lists.length <= 1);
  return place.lists[0] ?? [];
}

function sorted(names: readonly string[]): string[] {
  return [...names].sort();
}

/** `-c , --config file` as an option of the table would have it in its head. */
function headOf({ name, letters = [], value }: Pick<OptionSpec, 'name' | 'letters' | 'value'>): string {
  const flags = [...letters.map((letter) => `-${letter}`), `--${name}`].join(' , ');
  return value === undefined ? flags : `${flags} ${value.toLowerCase()}`;
}

function assertDefault(text: string, name: string, defaultText: string | undefined): void {
  const plain = text.replace(/["“”]/g, '');
  if (defaultText === undefined) {
    assert.doesNotMatch(plain, /default is/, `${name} has no default`);
    return;
  }
  const wanted = (LONGER[defaultText] ?? defaultText).replace(/"/g, '');
  const at = plain.indexOf(`The default is ${wanted}`);
  assert.ok(at >= 0, `the default of ${name}, ${wanted}, in: ${plain}`);
  assert.match(
    plain.slice(at + `The default is ${wanted}`.length),
    /^(?:[.,]? |[.,]?$)/,
    `${name}: ${plain}`,
  );
}

function assertExplained(item: MdocItem, spec: OptionSpec): void {
  assertDefault(item.text, spec.name, spec.defaultText);
  if (spec.linuxDefaultText !== undefined) {
    assert.ok(item.text.includes(`on Linux ${spec.linuxDefaultText}`), `${spec.name} on Linux: ${item.text}`);
  }
  assert.equal(item.text.includes(MANY), spec.many === true, `${spec.name} is repeatable: ${item.text}`);
}

describe('mxallowd(8)', () => {
  const options = onlyList(section(COMMAND_PAGE, 'Options'));
  const commands = onlyList(section(COMMAND_PAGE, 'Commands'));

  it('has every option, no other one, in the order of their names, with letters and what stands for the value', () => {
    const heads = new Map(SPECS.map((spec) => [spec.name, headOf(spec)]));
    const names = sorted([...heads.keys()]);
    assert.deepEqual(
      options.map(({ head }) => head),
      names.map((name) => heads.get(name)),
    );
  });

  for (const spec of SPECS) {
    it(`explains --${spec.name}, with its default`, () => {
      const item = options.find(({ head }) => head === headOf(spec));
      assert.ok(item);
      assertExplained(item, spec);
    });
  }

  it('names the letters of switches in its synopsis, and all options with a letter and a value', () => {
    const { text } = section(COMMAND_PAGE, 'SYNOPSIS');
    const withLetter = SPECS.filter(({ letters }) => letters !== undefined);
    const switches = withLetter.filter(({ value }) => value === undefined);
    // -d is -b
    const cluster = switches.map(({ letters = [] }) => letters[0] ?? '');
    cluster.sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
    assert.ok(text.includes(`-${cluster.join('')} `), text);
    for (const { letters = [], value } of withLetter) {
      if (value !== undefined) assert.ok(text.includes(`-${letters[0]} ${value.toLowerCase()}`), letters[0]);
    }
  });

  it('has every command that the program knows, in the order of their names', async () => {
    assert.deepEqual(
      commands.map(({ head }) => head.split(' ')[0]),
      sorted(COMMAND_NAMES),
    );
    const { stdout } = await runCli(['--help']);
    const inHelp = [...stdout.matchAll(/^ {2}mxallowd ([a-z-]+) /gm)].map(([, name]) => name ?? '');
    assert.deepEqual(inHelp, COMMAND_NAMES);
  });

  it('has the options of every command, no other ones, and their defaults', async () => {
    const ofCommand: Record<string, readonly ExtraOption[]> = {};
    for (const { name, load } of COMMANDS) ofCommand[name] = (await load()).options;
    for (const command of commands) {
      const [name = ''] = command.head.split(' ');
      const items = onlyList(command);
      const specs = ofCommand[name] ?? [];
      const wanted = new Map(specs.map((spec) => [headOf(spec), spec]));
      const inOrder = sorted(specs.map((spec) => spec.name)).map((option) =>
        headOf(specs.find((spec) => spec.name === option) ?? { name: option }),
      );
      assert.deepEqual(
        items.map(({ head }) => head),
        inOrder,
        name,
      );
      for (const { head, text } of items) {
        const inHelp = /\(default: (.*)\)/.exec(wanted.get(head)?.help ?? '')?.[1];
        const defaultText = wanted.get(head)?.defaultText ?? inHelp;
        assertDefault(
          text,
          `${name} ${head}`,
          defaultText === 'whitelist-time' ? '--whitelist-time' : defaultText,
        );
        assert.equal(
          text.includes('given several times'),
          wanted.get(head)?.help.includes('repeatable'),
          head,
        );
      }
    }
  });

  it('has every exit status that there is', () => {
    const { lists, text } = section(COMMAND_PAGE, 'EXIT STATUS');
    const heads = (lists[0] ?? []).map(({ head }) => head);
    assert.deepEqual(heads, ['0', '1', ...Object.values(Exit).slice(1).map(String), '128+N']);
    assert.match(text, /exit 0 .*, 1 .*, 2 /);
  });

  it('has the signals that the daemon handles', () => {
    const files = ['daemon.ts', 'hangup.ts'].map((name) => join(packageFolder(), 'src', 'process', name));
    const source = files.map((file) => readFileSync(file, 'utf8')).join('');
    const handled = new Set([...source.matchAll(/'(SIG[A-Z0-9]+)'/g)].map(([, name]) => name ?? ''));
    const { lists } = section(COMMAND_PAGE, 'SIGNALS');
    const told = (lists[0] ?? []).flatMap(({ head }) => head.split(' , '));
    assert.deepEqual(told, sorted([...handled]));
  });
});

describe('mxallowd.conf(5)', () => {
  const options = onlyList(section(FILE_PAGE, 'DESCRIPTION'));
  const specs = SPECS.filter(({ commandLineOnly }) => commandLineOnly !== true);

  it('has every option that a file may have, no other one, in the order of their names', () => {
    const heads = sorted(specs.map(({ name, value }) => `${name}${value ? ` ${value.toLowerCase()}` : ''}`));
    assert.deepEqual(
      options.map(({ head }) => head),
      heads,
    );
  });

  for (const spec of specs) {
    it(`explains ${spec.name}, its default, and whether a reload takes it over`, () => {
      const item = options.find(({ head }) => head.split(' ')[0] === spec.name);
      assert.ok(item);
      assertExplained(item, spec);
      assert.equal(item.text.includes(RELOADS), spec.reloads === true, item.text);
    });
  }
});

describe('manual pages', () => {
  const without =
    spawnSync('mandoc', [], { input: '' }).error === undefined ? false : 'mandoc is not installed';

  it('are what mandoc -T lint has nothing to say about', { skip: without }, () => {
    for (const page of PAGES) {
      const { stdout, stderr } = spawnSync('mandoc', ['-T', 'lint', '-W', 'style', page], {
        encoding: 'utf8',
      });
      // which other pages a machine has, and whether its index is new
      const found = `${stdout}${stderr}`
        .split('\n')
        .filter((line) => !/referenced manual|mandoc\.db/.test(line));
      assert.deepEqual(found, ['']);
    }
  });

  it('can be read in 78 columns', { skip: without }, () => {
    for (const page of PAGES) {
      const { stdout } = spawnSync('mandoc', ['-T', 'ascii', '-O', 'width=78', page], { encoding: 'utf8' });
      const lines = stdout.replace(/.\x08/g, '').split('\n');
      assert.ok(lines.length > 100);
      assert.deepEqual(
        lines.filter((line) => line.length > 78),
        [],
      );
    }
  });

  it('are named in package.json, so that npm installs them', () => {
    const text = readFileSync(join(packageFolder(), 'package.json'), 'utf8');
    const { man } = JSON.parse(text) as { man: string[] };
    const pages = readdirSync(join(packageFolder(), 'docs')).filter((name) => /\.[0-9]$/.test(name));
    assert.deepEqual(
      man,
      pages.map((name) => `docs/${name}`),
    );
  });
});
