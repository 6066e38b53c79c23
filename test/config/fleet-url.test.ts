import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Given, resolveConfig } from '../../src/config/config.js';
import { fleetUrl, isLocal } from '../../src/config/fleet-url.js';
import type { OptionKey } from '../../src/config/options.js';
import { configOf } from '../support/config.js';

const servers = { fakeMailserver: ['192.0.2.3'], realMailserver: ['192.0.2.4'] };

function read(text: string): unknown {
  const checked = fleetUrl(text);
  return checked.ok ? checked.value : undefined;
}

/** What is wrong with these options. */
function problems(options: Partial<Record<OptionKey, readonly (string | undefined)[]>>): string[] {
  const given = Object.entries({ ...servers, ...options }).flatMap(([key, texts]) =>
    texts.map((text): Given => ({ key: key as OptionKey, text, where: '', origin: 'command line' })),
  );
  const result = resolveConfig(given, [], 'openbsd');
  return result.ok ? [] : result.problems.map(({ message }) => message);
}

it('reads a host, with and without port, user and database', () => {
  const plain = {
    isTls: false,
    kind: 'host',
    path: undefined,
    master: undefined,
    user: undefined,
    database: 0,
  };
  assert.deepEqual(read('redis://127.0.0.1'), {
    ...plain,
    text: 'redis://127.0.0.1',
    places: [{ host: '127.0.0.1', port: 6379 }],
  });
  assert.deepEqual(read('rediss://mx1@store.example.org:6380/3'), {
    ...plain,
    text: 'rediss://mx1@store.example.org:6380/3',
    isTls: true,
    user: 'mx1',
    database: 3,
    places: [{ host: 'store.example.org', port: 6380 }],
  });
  assert.deepEqual(read('redis://[2001:db8::1]:7000'), {
    ...plain,
    text: 'redis://[2001:db8::1]:7000',
    places: [{ host: '2001:db8::1', port: 7000 }],
  });
});

it('reads a socket, and sentinels', () => {
  const { path, kind } = read('unix:///run/redis.sock') as { path: string; kind: string };
  assert.deepEqual([path, kind], ['/run/redis.sock', 'socket']);
  const sentinel = read('rediss+sentinel://a,b:1,192.0.2.1/mymaster/2') as Record<string, unknown>;
  assert.deepEqual(sentinel['places'], [
    { host: 'a', port: 26_379 },
    { host: 'b', port: 1 },
    { host: '192.0.2.1', port: 26_379 },
  ]);
  assert.deepEqual([sentinel['master'], sentinel['database'], sentinel['isTls']], ['mymaster', 2, true]);
});

for (const text of [
  '192.0.2.1',
  'http://192.0.2.1',
  'redis://',
  'redis://a b',
  'redis://192.0.2.1:0',
  'redis://192.0.2.1:70000',
  'redis://a,b',
  'redis://a/x',
  'redis://a/1/2',
  'redis+sentinel://a,b',
  'redis://2001:db8::1',
  'unix://run/redis.sock',
]) {
  it(`${text} is none`, () => assert.equal(read(text), undefined));
}

it('one with a password is refused, and not shown', () => {
  for (const text of [
    'redis://mx1:s3cret@127.0.0.1',
    'redis://:s3cret@127.0.0.1',
    'unix:///run/x?password=s3cret',
  ]) {
    const [message = ''] = problems({ fleetUrl: [text] });
    assert.match(message, /fleet-password-file/, text);
    assert.doesNotMatch(message, /s3cret/, text);
  }
});

it('without TLS only this machine is talked to, unless that is wanted', () => {
  for (const text of ['redis://127.0.0.1', 'redis://localhost', 'redis://[::1]', 'unix:///run/redis.sock']) {
    assert.equal(isLocal(configOf({ ...servers, fleetUrl: [text] }).fleetUrl ?? assert.fail()), true);
  }
  for (const text of ['redis://192.0.2.1', 'redis+sentinel://127.0.0.1,192.0.2.1/m']) {
    assert.match(problems({ fleetUrl: [text] })[0] ?? '', /without TLS/);
    assert.deepEqual(problems({ fleetUrl: [text], fleetInsecure: [undefined] }), []);
  }
  assert.deepEqual(problems({ fleetUrl: ['rediss://192.0.2.1'] }), []);
});

it('a share is a part of a whole', () => {
  assert.equal(configOf(servers).fleetShare, 50);
  assert.equal(configOf({ ...servers, fleetShare: ['100%'] }).fleetShare, 100);
  assert.match(problems({ fleetShare: ['101'] })[0] ?? '', /from 0% to 100%/);
});
