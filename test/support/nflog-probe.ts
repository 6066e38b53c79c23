/**
 * Run as a process of its own by the tests of NflogSource, in a network namespace: reads the group of argv[2] and prints
 * a line of JSON for each frame and for each SIGUSR2, which asks for the statistics; ends at SIGTERM.
 */
import { makeNflogSource } from '../../src/capture/nflog.js';
import { CaptureError } from '../../src/capture/source.js';
import { formatAddress } from '../../src/packet/address.js';
import { decode } from '../../src/packet/observation.js';

/** What it prints. */
export type NflogLine =
  | { readonly open: string }
  | { readonly error: string; readonly kind: string }
  | {
      readonly action: number;
      readonly source: string;
      readonly destination: string;
      readonly isSyn: boolean;
    }
  | { readonly undecoded: string }
  | { readonly received: number; readonly dropped: number | undefined };

const print = (line: NflogLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

async function probe(group: number): Promise<void> {
  try {
    const source = await makeNflogSource(group, Date.now);
    await source.open({
      frame: (frame) => {
        const seen = decode(frame);
        if (!seen.ok) print({ undecoded: seen.reason });
        else {
          const { action, isSyn } = seen;
          const [from, to] = [formatAddress(seen.source), formatAddress(seen.destination)];
          print({ action, source: from, destination: to, isSyn });
        }
      },
      end: () => undefined,
      error: ({ message, kind }) => print({ error: message, kind }),
      notice: () => undefined,
    });
    print({ open: source.description });
    process.on('SIGUSR2', () => print(source.statistics()));
    process.once('SIGTERM', () => void source.close().then(() => process.exit(0)));
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    print({ error: error.message, kind: error.kind });
  }
}

const group = process.argv[2];
if (group !== undefined) await probe(Number(group));
