// nftables as the firewall.
import type { Core } from '../engine/firewall.js';
import type { Judgement } from '../engine/judge.js';
import { escapeText } from '../packet/escape.js';
import { isNflogAction, NflogAction } from '../packet/nflog.js';
import type { Observation, Undecoded } from '../packet/observation.js';
import { Exit, StartError } from '../sysexits.js';
import { NFT_TABLE } from '../table/nft-sets.js';
import type { Failed } from '../table/writer-events.js';
import { NftTable } from './nft-table.js';
import { TableFirewall, type TableParts } from './table-firewall.js';

/** nftables: the kernel decides by its sets, NFLOG says who came and what became of it. */
export class NftFirewall extends TableFirewall<NftTable> {
  constructor(core: Core, parts: TableParts) {
    super(core, parts, (filled) => new NftTable(core, parts.table, filled));
  }

  /** The rules, and the table with them, had gone, and are back. @param isEmpty - nothing is in it */
  restored(isEmpty: boolean): void {
    this.table.restored(isEmpty);
  }

  protected override decide(decoded: Observation | Undecoded): Judgement {
    // what is in our group and no rule of ours has written: it is not known what became of it
    if (decoded.ok && !isNflogAction(decoded.action))
      return this.core.decide({ ok: false, reason: 'other-prefix' });
    if (decoded.ok && decoded.action === NflogAction.PASS_TRIED) this.takeOver(decoded);
    // the kernel remembers who it is, unless there is a flood
    const isKernels = decoded.ok && decoded.action === NflogAction.DROP;
    return this.table.kernelsOwn(isKernels, () => this.core.decide(decoded));
  }

  protected tableError({ failure, message }: Failed): StartError {
    const { description } = this.parts.table;
    if (failure === 'missing-table') {
      const advice = 'mxallowd nft-conf --install (without it: what it would load)';
      return new StartError(`there is no table ${description}: ${advice}`, Exit.UNAVAILABLE);
    }
    const status = failure === 'permission' ? Exit.NOPERM : Exit.UNAVAILABLE;
    return new StartError(`table ${NFT_TABLE} cannot be read: ${escapeText(message)}`, status);
  }

  /** The kernel lets somebody in because it has tried the fake MX, and we have not seen that. */
  private takeOver(seen: Observation): void {
    const { tracker, clock, config } = this.core;
    const { source } = seen;
    if (tracker.find(source) !== undefined || tracker.roles.allowing(source) !== undefined) return;
    const prefix = tracker.roles.entryPrefix(source);
    const lifeMs = config.whitelistTime * 1000;
    this.table.kernelsOwn(true, () => tracker.adopt(prefix, 'attempt', lifeMs, clock.monotonicMs()));
  }
}
