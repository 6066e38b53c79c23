// pf as the firewall.
import type { Config } from '../config/config.js';
import type { Core } from '../engine/firewall.js';
import { escapeText } from '../packet/escape.js';
import { Exit, StartError } from '../sysexits.js';
import type { Failed } from '../table/writer-events.js';
import { PfTable } from './pf-table.js';
import { TableFirewall, type TableParts } from './table-firewall.js';

/** pf: its log says who came, its table says who may reach the real MX. */
export class PfFirewall extends TableFirewall<PfTable> {
  constructor(core: Core, parts: TableParts) {
    super(core, parts, (filled) => new PfTable(core, parts.table, filled));
  }

  protected tableError({ failure, message }: Failed): StartError {
    return tableError(this.core.config, this.parts.table.description, failure, message);
  }
}

function tableError(config: Config, table: string, failure: string, message: string): StartError {
  if (failure === 'missing-table') {
    const where = config.anchor === '' ? '/etc/pf.conf' : `the rules of anchor "${config.anchor}"`;
    return new StartError(
      `pf table ${table} does not exist: put the line "table <${config.table}> persist" into ${where} ` +
        'and load it (pfctl -f /etc/pf.conf)',
      Exit.UNAVAILABLE,
    );
  }
  const status = failure === 'permission' ? Exit.NOPERM : Exit.UNAVAILABLE;
  return new StartError(`pf table ${table} cannot be read: ${escapeText(message)}`, status);
}
