// Probe: whether the store of a fleet lets us in, and who else is there.
import { systemClock } from '../clock.js';
import { fleetAccess } from '../process/fleet-access.js';
import { type FleetStore, type OpenStore, STORE_PROBLEMS } from '../engine/sharing.js';
import { StoreError } from '../fleet/store.js';
import { finding } from '../pf/finding.js';
import { StartError } from '../sysexits.js';
import { amount } from '../words.js';
import type { Probe } from './probe.js';

/** A store that is there lets us in sooner. */
const CONNECT_MS = 5000;

/** The store by which gateways share. Nothing is written to it. */
export const fleetProbe: Probe = {
  name: 'fleet',
  applies: ({ config }) => config.fleetUrl !== undefined,
  run: async ({ config }) => {
    const url = config.fleetUrl?.text ?? '';
    let access: OpenStore | undefined;
    try {
      access = await fleetAccess(config, systemClock);
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      return [finding('error', 'fleet-access', `fleet: ${error.message}`)];
    }
    if (access === undefined) return [];
    const found = await look(access);
    if (found instanceof StoreError) {
      const message = `fleet: ${url} ${STORE_PROBLEMS[found.problem]}: ${found.message}`;
      return [finding('error', 'fleet-away', message)];
    }
    const others = found.filter((name) => name !== access.node);
    if (others.length > 0) {
      const message = `fleet: ${url} lets us in; ${amount(others.length, 'other gateway')}: ${others.sort().join(', ')}`;
      return [finding('ok', 'fleet', message)];
    }
    const message = `fleet: ${url} lets us in, and no other gateway of site ${config.fleetSite} is there`;
    return [finding('note', 'fleet-alone', message, 'give the others the same fleet-url and fleet-site')];
  },
};

/** @returns the nodes that are there, or why nobody knows */
async function look(access: OpenStore): Promise<string[] | StoreError> {
  let last: StoreError | undefined;
  let store: FleetStore | undefined;
  let cancel = (): void => undefined;
  try {
    const isIn = await new Promise<boolean>((resolve) => {
      cancel = systemClock.after(CONNECT_MS, () => resolve(false));
      store = access.open(resolve, (error) => {
        last = error;
        // what is refused now is refused later, too
        if (error.problem !== 'away' && error.problem !== 'loading') resolve(false);
      });
      store.open();
    });
    if (!isIn || store === undefined)
      return last ?? new StoreError('away', `no answer in ${CONNECT_MS / 1000} s`);
    return await store.nodes();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  } finally {
    cancel();
    store?.close();
  }
}
