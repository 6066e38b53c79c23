// Whether somebody listens on the fake MX of this machine.
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Address, formatAddress, parseAddress } from '../packet/address.js';

const ANSWER_MS = 1000;

/**
 * Finds fake MX addresses of this machine on which something listens, by connecting to them. Those of other machines
 * are not tried.
 */
export async function answeringFakes(fakes: readonly Address[], port: number): Promise<Address[]> {
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).map(({ address }) => parseAddress(address)),
    ),
  );
  const tried = await Promise.all(
    fakes
      .filter((fake) => own.has(fake))
      .map(async (fake) => ((await answers(formatAddress(fake), port)) ? [fake] : [])),
  );
  return tried.flat();
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: ANSWER_MS });
    const end = (listens: boolean): void => {
      resolve(listens);
      socket.destroy();
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}
