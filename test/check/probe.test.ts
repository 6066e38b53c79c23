import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CheckContext, type Probe, runProbes } from '../../src/check/probe.js';
import { finding } from '../../src/pf/finding.js';

const CONTEXT = { domains: ['example.org'] } as unknown as CheckContext;

describe('runProbes', () => {
  it('runs those that apply at once, and tells in their order', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const probes: Probe[] = [
      { name: 'slow', run: () => held.then(() => [finding('ok', 'slow', 'slow')]) },
      {
        name: 'never',
        applies: ({ domains }) => domains.length === 0,
        run: () => Promise.reject(new Error()),
      },
      {
        name: 'fast',
        run: () => {
          release();
          return Promise.resolve([finding('note', 'fast', 'fast')]);
        },
      },
    ];
    const findings = await runProbes(probes, CONTEXT);
    assert.deepEqual(
      findings.map(({ id }) => id),
      ['slow', 'fast'],
    );
  });

  it('goes on when one fails, and says so', async () => {
    const findings = await runProbes(
      [
        {
          name: 'bad',
          run: () => {
            throw new Error('broken');
          },
        },
        { name: 'good', run: () => Promise.resolve([finding('ok', 'good', 'good')]) },
      ],
      CONTEXT,
    );
    assert.deepEqual(findings, [
      finding('warning', 'probe-failed', 'bad: could not be checked: broken'),
      finding('ok', 'good', 'good'),
    ]);
  });
});
