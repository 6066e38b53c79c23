// All probes, in the order of the report.
import { allowedDomainsProbe } from './allowed-domains.js';
import { captureProbe, pflogProbe } from './capture.js';
import { dnsProbe } from './dns.js';
import { dnswlProbe } from './dnswl.js';
import { fleetProbe } from './fleet.js';
import { fakeProbe, realProbe } from './listeners.js';
import { nftProbe } from './nft.js';
import { pfProbe } from './pf.js';
import type { Probe } from './probe.js';
import { queueProbe } from './queue.js';
import { rcFlagsProbe } from './rc-flags.js';
import { serviceProbe } from './service.js';
import { addressesProbe, configProbe, privilegesProbe, userProbe } from './setup.js';

/** All that is looked at, in the order in which it is told. */
export const PROBES: readonly Probe[] = [
  configProbe,
  privilegesProbe,
  userProbe,
  serviceProbe,
  rcFlagsProbe,
  addressesProbe,
  pfProbe,
  pflogProbe,
  captureProbe,
  nftProbe,
  queueProbe,
  fakeProbe,
  realProbe,
  dnsProbe,
  dnswlProbe,
  allowedDomainsProbe,
  fleetProbe,
];
