import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { fetchPolicy, type PolicyRequest } from '../../src/check/fetch-policy.js';
import type { FetchedPolicy } from '../../src/check/mta-sts.js';
import { freePort } from '../support/dns.js';
import { type Certificate, makeCertificate, opensslUnavailable } from '../support/https.js';

const NAME = 'mta-sts.example.org';
const POLICY = 'version: STSv1\nmode: none\nmax_age: 86400\n';

/** What each answer is asked by: a policy has one path only, so the server is told before. */
const ANSWERS: Readonly<Record<string, RequestListener>> = {
  well: (request, response) => {
    const isAsked = request.url === '/.well-known/mta-sts.txt' && request.headers.host === NAME;
    response.writeHead(isAsked ? 200 : 400, { 'content-type': 'Text/Plain; charset=utf-8' }).end(POLICY);
  },
  html: (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
  untyped: (_, response) => void response.writeHead(200).end(POLICY),
  missing: (_, response) => void response.writeHead(404).end(POLICY),
  elsewhere: (_, response) =>
    void response.writeHead(301, { location: 'https://x.example/\xe9' }).end(POLICY),
  lost: (_, response) => void response.writeHead(302).end(POLICY),
  longest: (_, response) =>
    void response.writeHead(200, { 'content-type': 'text/plain' }).end('x'.repeat(65_536)),
  longer: (_, response) =>
    void response.writeHead(200, { 'content-type': 'text/plain' }).end('x'.repeat(65_537)),
  endless: (_, response) => {
    const more = (): void => void response.write('x'.repeat(1000), more);
    response.on('error', () => undefined);
    more();
  },
  broken: (_, response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('version');
    setImmediate(() => response.destroy());
  },
  silent: () => undefined,
  slow: (_, response) => void response.writeHead(200, { 'content-length': '1000' }).write('version'),
};

describe('fetchPolicy', { skip: opensslUnavailable() }, () => {
  let server: Server;
  let good: Certificate;
  let listener: RequestListener = () => undefined;
  let port = 0;
  before(async () => {
    good = makeCertificate('policies', [NAME, '*.example.net']);
    server = createServer(good, (request, response) => listener(request, response));
    server.on('error', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as { port: number });
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  function fetch(name: string, wanted: Partial<PolicyRequest> = {}): Promise<FetchedPolicy> {
    listener = ANSWERS[name] ?? assert.fail();
    const patient = { connectMs: 60_000, totalMs: 60_000 };
    return fetchPolicy({
      name: NAME,
      addresses: ['127.0.0.1'],
      port,
      trusted: good.cert,
      ...patient,
      ...wanted,
    });
  }

  it('gets the policy, by name and path', async () => {
    assert.deepEqual(await fetch('well'), { kind: 'answer', text: POLICY, mediaType: 'text/plain' });
    assert.deepEqual(await fetch('html'), { kind: 'answer', text: '<p>', mediaType: 'text/html' });
    assert.deepEqual(await fetch('untyped'), { kind: 'answer', text: POLICY, mediaType: '' });
  });

  it('reads 64 KB and no more, be it endless', async () => {
    assert.deepEqual(await fetch('longest'), {
      kind: 'answer',
      text: 'x'.repeat(65_536),
      mediaType: 'text/plain',
    });
    const wrong = { kind: 'wrong', why: 'is longer than 65536 bytes' };
    assert.deepEqual(await fetch('longer'), wrong);
    assert.deepEqual(await fetch('endless'), wrong);
  });

  it('takes no other status, and follows no redirection', async () => {
    assert.deepEqual(await fetch('missing'), { kind: 'wrong', why: 'answers with status 404, not 200' });
    const where = 'redirects to https://x.example/\\xe9, which senders do not follow';
    assert.deepEqual(await fetch('lost'), { kind: 'wrong', why: 'redirects, which senders do not follow' });
    assert.deepEqual(await fetch('elsewhere'), { kind: 'wrong', why: where });
  });

  it('says when the connection breaks, or nothing more comes', async () => {
    assert.deepEqual((await fetch('broken')).kind, 'wrong');
    const late = { kind: 'wrong', why: 'it has not come within 2 s' };
    assert.deepEqual(await fetch('slow', { totalMs: 2000 }), late);
    assert.deepEqual(await fetch('silent', { totalMs: 2000 }), late);
  });

  it('takes no certificate that is not valid', async (t) => {
    const why = async (certificate: Certificate, trusted: string | undefined): Promise<string> => {
      const other = createServer(certificate, ANSWERS['well']);
      other.listen(0, '127.0.0.1');
      await once(other, 'listening');
      t.after(() => other.close());
      const wanted = { port: (other.address() as { port: number }).port };
      const found = await fetch('well', trusted === undefined ? wanted : { ...wanted, trusted });
      assert.equal(found.kind, 'wrong');
      return found.kind === 'wrong' ? found.why : '';
    };
    const foreign = makeCertificate(NAME, ['mail.example.org', 'example.org', '*.mta-sts.example.org']);
    const old = makeCertificate(NAME, [NAME], -1);
    const nameless = makeCertificate(NAME, []);
    const unknown = makeCertificate(NAME, [NAME]);
    const invalid = 'its certificate is not valid:';
    assert.match(
      await why(foreign, foreign.cert),
      new RegExp(`^${invalid} .*mta-sts\\.example\\.org.* is not in `),
    );
    assert.equal(await why(old, old.cert), `${invalid} certificate has expired`);
    assert.equal(await why(nameless, nameless.cert), `${invalid} it has no subjectAltName`);
    assert.equal(await why(unknown, undefined), `${invalid} self-signed certificate`);
  });

  it('takes a certificate with a wildcard', async () => {
    const found = await fetch('well', { name: 'mta-sts.example.net' });
    // the server has heard another name
    assert.deepEqual(found, { kind: 'wrong', why: 'answers with status 400, not 200' });
  });

  it('is told of a server that speaks no TLS', async (t) => {
    const plain = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('220 mail\r\n');
    });
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    t.after(() => plain.close());
    const { kind } = await fetch('well', { port: (plain.address() as { port: number }).port });
    assert.equal(kind, 'wrong');
  });

  it('tries the next address where nobody answers', async () => {
    // 127.0.0.9 is nobody's for this port
    const found = await fetch('well', { addresses: ['127.0.0.9', '127.0.0.1'] });
    assert.equal(found.kind, 'answer');
    const free = await freePort();
    assert.deepEqual(await fetch('well', { port: free }), {
      kind: 'wrong',
      why: '127.0.0.1 refuses connections',
    });
    assert.deepEqual(await fetch('well', { addresses: [] }), { kind: 'unreached', why: 'it has no address' });
  });
});
