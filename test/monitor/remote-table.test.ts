import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { EngineEvent, EngineRequest } from '../../src/monitor/messages.js';
import { RemoteTable } from '../../src/monitor/remote-table.js';
import type { TableReply } from '../../src/table/table.js';

const OK: TableReply = { ok: true, changed: undefined, created: false };

describe('the table as an engine without root has it', () => {
  let sent: (EngineRequest | EngineEvent)[];
  let table: RemoteTable;
  let shown: string[];

  const lines = (id: number, text: string): void => table.handle({ kind: 'lines', id, lines: text });
  const end = (id: number): void => table.handle({ kind: 'reply', id, reply: OK });
  const show = (): Promise<TableReply> => table.show(({ text }) => shown.push(text));

  beforeEach(() => {
    sent = [];
    shown = [];
    table = new RemoteTable('<mx-white>', (message) => sent.push(message));
  });

  it('is listed as the list comes', async () => {
    const reply = show();
    lines(1, '   192.0.2.1\n\tCleared:     Tue Nov 14 22:13:20 2023\n   192.0.2.2\n');
    assert.deepEqual(shown, ['192.0.2.1']);
    end(1);
    assert.deepEqual([await reply, shown], [OK, ['192.0.2.1', '192.0.2.2']]);
  });

  it('is asked for once when it was asked for beforehand, whenever that list comes', async () => {
    table.fetch();
    lines(1, '   192.0.2.1\n');
    assert.deepEqual(shown, []);
    const reply = show();
    lines(1, '   192.0.2.2\n');
    end(1);
    await reply;
    assert.deepEqual(shown, ['192.0.2.1', '192.0.2.2']);
    assert.deepEqual(sent, [{ request: 'show', id: 1 }]);
  });

  it('is listed anew the next time', async () => {
    table.fetch();
    end(1);
    await show();
    const next = show();
    lines(2, '   192.0.2.3\n');
    end(2);
    await next;
    assert.deepEqual(shown, ['192.0.2.3']);
    assert.equal(sent.length, 2);
  });

  it('tells when the monitor has gone, before and while somebody waits', async () => {
    table.fetch();
    table.lost();
    assert.deepEqual(await show(), { ok: false, failure: 'killed', message: 'the monitor has gone' });
  });
});
